"""Pages are looked at in a real browser: Chromium draws the report of a domain and that of a run, light and dark, without a network."""

import collections
import os
import shutil
import subprocess

import domain_page
import welcome
from common import holds, ok, same

# What src/report/page.css gives the classes, light and dark.
TONES = {
    False: {"good": "2e8b57", "plain": "2f6f9f", "doubtful": "c98a1b", "bad": "c0392b"},
    True: {"good": "5cb888", "plain": "6fa8d6", "doubtful": "e0ac4a", "bad": "e57366"},
}
RUN = {"good": "accepted rows", "plain": "the messages of five minutes", "bad": "bounced rows"}
DOMAIN = {"good": "ours", "plain": "platform", "doubtful": "unknown", "bad": "hostile"}
# A desk and a hand, in pixels; and so much that the charts of both pages are on the pictures.
WIDTHS, HEIGHT = (1280, 400), 1600


def check(folder):
    holds(shutil.which("chromium"), "chromium is missing: install Debian's chromium")
    check_the_measure(folder)
    made = folder / "pages"
    look_at("a domain", domain_page.make(os.environ["MAILRUN"], made), DOMAIN)
    look_at("a run", page_of_run(folder, made / "run.html"), RUN)


def page_of_run(folder, page):
    run, _ = welcome.run(folder)
    subprocess.run([os.environ["MAILRUN"], "report", run.folder, "--html", page], check=True, stdout=subprocess.DEVNULL)
    return page


def look_at(what, page, wanted):
    for dark, colours in TONES.items():
        png = domain_page.picture(page, page.with_name(f"{page.stem}-{'dark' if dark else 'light'}.png"), dark, HEIGHT)
        seen = collections.Counter(pixel for row in domain_page.pixels(png) for pixel in row)
        ground = seen.most_common(1)[0][0]
        holds((sum(ground) < 200) == dark, f"the ground of the {'dark' if dark else 'light'} page of {what} is {ground}")
        for tone, name in wanted.items():
            pixels = seen[tuple(bytes.fromhex(colours[tone]))]
            holds(pixels > 50, f"{name}: {pixels} pixels of their colour on the {'dark' if dark else 'light'} page of {what}")
    for width in WIDTHS:
        found = domain_page.measure(page, width)
        same(f"pixels that the page of {what} is wider than {width}", found["overflow"], 0)
        same(f"what the page of {what} asks for", found["requests"], [])
    ok(f"chromium draws the page of {what}, light and dark; it fits into {' and '.join(map(str, WIDTHS))} pixels and asks for nothing")


def check_the_measure(folder):
    """What is measured can be wrong: a page that is too wide and asks for a picture is seen as that."""
    page, picture = folder / "bad.html", "http://127.0.0.1:1/picture.png"
    page.write_text(f'<!doctype html><body style="margin: 0"><div style="width: 500px">x</div><img src="{picture}">')
    found = domain_page.measure(page, 400)
    same("what the measure sees of a bad page", (found["overflow"], found["requests"]), (100, [picture]))
