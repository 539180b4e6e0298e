//! What `mailrun render` shows of messages: pages for a browser, texts, and a page that lists them.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use crate::kit::{Dir, Ran};

/// A campaign with text, HTML and an image; its second row can't be rendered.
fn shop() -> Dir {
    let dir = Dir::new();
    dir.write("list.csv", "email,name\na@b.example,\"<Ann>, \"\"A\"\"\"\nb@b.example,\nc@b.example,Çem\n");
    dir.write("t.hbs", "Hello {{name}}\n");
    dir.write("h.hbs", "<!doctype html>\n<p>Dear {{name}}<img src=\"cid:logo\"></p>\n");
    dir.write("logo.png", b"\x89PNG");
    dir.write(
        "shop.toml",
        "[campaign]\nid = \"shop\"\nkind = \"update\"\n[sender]\nfrom = \"n@mail.example.com\"\n\
         [target-group]\nfiles = [\"list.csv\"]\nemail = \"email\"\n\
         [template]\nsubject = \"For {{name}}\"\ntext = \"t.hbs\"\nhtml = \"h.hbs\"\n\
         inline = [{ id = \"logo\", file = \"logo.png\" }]\n\
         [capacity]\nper-hour = 1000\n[delivery]\nroute = \"sandbox\"\n",
    );
    dir
}

fn read(dir: &Dir, name: &str) -> String {
    fs::read_to_string(dir.path().join(name)).unwrap()
}

#[test]
fn one_message_in_the_browser_and_as_text() {
    let dir = shop();
    dir.run(&["render", "shop.toml", "--html", "pages/one.html"]).ended(0);
    let page = read(&dir, "pages/one.html");
    assert!(
        page.starts_with("\u{feff}<!doctype html><meta http-equiv=\"Content-Security-Policy\""),
        "{page}"
    );
    assert!(
        page.contains("Dear &lt;Ann&gt;") && page.contains("src=\"data:image/png;base64,iVBORw==\""),
        "{page}"
    );
    let text = dir.run(&["render", "shop.toml", "--email", "c@b.example", "--text"]).ended(0).stdout();
    assert_eq!(text, "Hello Çem\n");

    // The desktop's browser, which notes what it was asked to show.
    let browser = dir.write("bin/xdg-open", "#!/bin/sh\necho \"$1\" > shown\n");
    fs::set_permissions(&browser, fs::Permissions::from_mode(0o755)).unwrap();
    let mut open = dir.command(&["render", "shop.toml", "--open", "--html", "x.html"]);
    assert!(
        open.env("PATH", format!("{}:/bin:/usr/bin", dir.path().join("bin").display()))
            .status()
            .unwrap()
            .success()
    );
    assert_eq!(read(&dir, "shown"), "x.html\n");
    let mut open = dir.command(&["render", "shop.toml", "--open", "--html", "x.html"]);
    let without = Ran(open.env("PATH", dir.path()).output().unwrap()).ended(2);
    without.says("can't run `xdg-open`").says("open `x.html` in a browser");

    let text_only = read(&dir, "shop.toml").replace("html = \"h.hbs\"\ninline", "#");
    dir.write("text.toml", text_only);
    dir.run(&["render", "text.toml", "--html", "y.html"]).ended(2).says("the campaign has no HTML part");
    dir.run(&["render", "shop.toml", "--all"]).ended(2).says("--out <DIR>|--index <DIR>");
    dir.run(&["render", "shop.toml", "--text", "--html", "x.html"]).ended(2).says("cannot be used with");
}

#[test]
fn a_page_lists_the_messages() {
    let dir = shop();
    dir.run(&["render", "shop.toml", "--all", "--index", "pages"]).ended(1).says("1 row can't be rendered");
    let page = read(&dir, "pages/index.html");
    for expected in [
        "<a href=\"00000001.html\">For &lt;Ann&gt;, &quot;A&quot;</a>",
        "Dear &lt;Ann&gt;, &quot;A&quot;",
        "list.csv, row 2",
        "<a href=\"00000003.html\">For Çem</a>",
        "2 rendered, 1 failed",
    ] {
        assert!(page.contains(expected), "{expected} is not in {page}");
    }
    assert!(read(&dir, "pages/00000003.html").contains("Dear Çem"));
    assert!(!dir.path().join("pages/00000002.html").exists());

    let sample = dir.run(&["render", "shop.toml", "--sample", "2", "--index", "two"]).ended(1);
    sample.says("1 message in two, 1 row can't be rendered");
    dir.run(&["render", "shop.toml", "--sample", "99", "--out", "mails"])
        .ended(1)
        .says("2 messages in mails");
    assert_eq!(fs::read_dir(dir.path().join("mails")).unwrap().count(), 2);
}

#[test]
fn a_run_has_a_report() {
    let dir = shop();
    dir.run(&["send", "shop.toml"]).ended(1);
    dir.run(&["report", "shop", "--html", "reports/shop.html"]).ended(0);
    let page = read(&dir, "reports/shop.html");
    for expected in [
        "<title>shop/",
        "Outcome of 3 rows",
        "<td>accepted</td><td class=\"number\">2</td><td class=\"number\">66.7 %</td>",
        "<td>render_failed</td>",
        "Sent in five minutes, beside the agreement",
        "2 attempts",
        "agreed: 1,000 an hour, 104 in five minutes",
        "<td>b.example</td>",
        "Content-Security-Policy",
    ] {
        assert!(page.contains(expected), "{expected} is not in {page}");
    }
    assert!(
        !page.contains("http:") && !page.contains("https:") && !page.contains("<script"),
        "it asks nobody: {page}"
    );
    dir.run(&["report", "nothing", "--html", "x.html"]).ended(2);
    dir.run(&["report", "shop", "--html", "reports"])
        .ended(2)
        .says("can't write the report")
        .says("--> reports");
}
