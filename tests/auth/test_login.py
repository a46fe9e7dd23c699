from tests.factories import People


def test_a_code_logs_in_and_makes_the_account(people: People) -> None:
    person = people.log_in("13800138000")
    profile = person.get("/api/user/profile").json["data"]
    assert profile["phone"] == "+8613800138000"
    assert profile["id"] == str(person.id)
