"""The countries that a phone number can belong to, for the login page; run as a module it writes them anew."""

import json

from phonenumbers import SUPPORTED_REGIONS, country_code_for_region

from swiper.web.shell import STATIC

PATH = STATIC / "regions.json"


def regions_text() -> str:
    """Dial codes by ISO 3166 region as compact JSON; the browser knows the regions' names in every language."""
    codes = {region: country_code_for_region(region) for region in sorted(SUPPORTED_REGIONS)}
    return json.dumps(codes, separators=(",", ":")) + "\n"


if __name__ == "__main__":
    PATH.write_text(regions_text())
