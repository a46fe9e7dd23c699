"""The countries of phone numbers, for the login page. Run as a module, it writes `static/regions.json` again."""

import json

from phonenumbers import SUPPORTED_REGIONS, country_code_for_region

from swiper.web.shell import STATIC

PATH = STATIC / "regions.json"


def regions_text() -> str:
    """Dial codes by ISO 3166 region, as compact JSON. The browser has the names of the regions in each language."""
    codes = {region: country_code_for_region(region) for region in sorted(SUPPORTED_REGIONS)}
    return json.dumps(codes, separators=(",", ":")) + "\n"


if __name__ == "__main__":
    PATH.write_text(regions_text())
