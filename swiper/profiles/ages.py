"""Ages: how they are counted, and whom the service takes."""

from datetime import date

from swiper.clock import today

MIN_AGE = 18
MAX_AGE = 100
AGE_OUT_OF_RANGE = "You must be 18 to 100 years old."


def age_on(day: date, birthday: date) -> int:
    """Full years lived on `day`: a birthday counts from its calendar day on."""
    return day.year - birthday.year - ((day.month, day.day) < (birthday.month, birthday.day))


def is_adult(birthday: date) -> bool:
    """True for people whom the service takes: adults, not older than the oldest age that preferences reach."""
    return MIN_AGE <= age_on(today(), birthday) <= MAX_AGE


def latest_birthday(day: date, years: int) -> date:
    """The latest birthday of people who are at least `years` old on `day`."""
    try:
        return day.replace(year=day.year - years)
    except ValueError:
        # On 29 February, nobody was born on that day of a common year.
        return date(day.year - years, 2, 28)
