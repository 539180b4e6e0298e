"""Pages are looked at in a real browser: Chromium draws the report of a domain, light and dark, without a network."""

import collections
import os
import shutil

import domain_page
from common import holds, ok

# What src/report/page.css gives the classes, light and dark.
COLOURS = {
    False: {"ours": "2e8b57", "platform": "2f6f9f", "unknown": "c98a1b", "hostile": "c0392b"},
    True: {"ours": "5cb888", "platform": "6fa8d6", "unknown": "e0ac4a", "hostile": "e57366"},
}


def check(folder):
    holds(shutil.which("chromium"), "chromium is missing: install Debian's chromium")
    page = domain_page.make(os.environ["MAILRUN"], folder / "pages")
    for dark, colours in COLOURS.items():
        png = domain_page.picture(page, folder / ("dark.png" if dark else "light.png"), dark)
        seen = collections.Counter(pixel for row in domain_page.pixels(png) for pixel in row)
        ground = seen.most_common(1)[0][0]
        holds((sum(ground) < 200) == dark, f"the ground of the {'dark' if dark else 'light'} page is {ground}")
        for name, colour in colours.items():
            wanted = tuple(bytes.fromhex(colour))
            holds(seen[wanted] > 50, f"{name} has {seen[wanted]} pixels of its colour on the {'dark' if dark else 'light'} page")
    ok("chromium draws the page of a domain, light and dark")
