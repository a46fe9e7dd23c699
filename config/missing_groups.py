"""`python -m config.missing_groups` prints the groups of packages that the settings need and that are not installed."""

from config.base import ROOT
from config.extras import missing_groups
from config.load import read_settings
from config.names import FILE


def main() -> None:
    """Print one name a line; nothing for settings that cannot be read; the start tells what is wrong."""
    settings, _ = read_settings(ROOT / FILE)
    for group in missing_groups(settings) if settings else ():
        print(group)  # noqa: T201 - the answer


if __name__ == "__main__":
    main()
