"""axe-core, run inside a page."""

from functools import cache
from pathlib import Path
from typing import Any

from playwright.sync_api import Page

SCRIPT = Path(__file__).parent / "vendor/axe-core/axe.min.js"
RUN = "() => axe.run(document, {resultTypes: ['violations']})"


@cache
def _axe() -> str:
    return SCRIPT.read_text(encoding="utf-8")


def violations(page: Page) -> list[str]:
    """What axe-core finds wrong with the page as it stands, each rule with the first elements that break it."""
    # A title can be seen before the styles have come, and without those the colours are others.
    page.wait_for_load_state("load")
    # Evaluated by the debugger, so the page's own policy need not allow it.
    page.evaluate(_axe())
    found: list[dict[str, Any]] = page.evaluate(RUN)["violations"]
    return [f"{fault['id']}: {fault['help']}: {[node['html'][:160] for node in fault['nodes'][:3]]}" for fault in found]
