//! What the program says: counts that agree with their nouns, hints that help, and no words of the
//! libraries that it is made with.

use std::fs;

use mailrun::sandbox::Options;

use crate::kit::{Dir, Relay, campaign, list};

#[test]
fn usage_shows_an_option_whose_variable_is_set_as_an_option() {
    let dir = Dir::new();
    // The state directory and the zone come from variables.
    dir.run(&["send"]).ended(2).says("Usage: mailrun send [OPTIONS] <CAMPAIGN>\n");
    let ran = dir.run(&["suppress", "remove"]).ended(2);
    ran.says("Usage: mailrun suppress remove [OPTIONS] <ADDRESSES>...\n");
}

#[test]
fn an_error_in_the_campaign_file_shows_its_line() {
    let dir = Dir::new();
    let file = campaign(&dir, "c", 9, "", "");
    let text = fs::read_to_string(dir.path().join(&file)).unwrap();
    dir.write(&file, text.replace("id = \"c\"", "id = \"c\"\nkind = news"));
    let ran = dir.run(&["plan", &file]).ended(2);
    ran.says(
        "error: the text `news` needs quotes\n  --> c.toml:3:8\n   |\n 3 | kind = news\n   |        ^\n\
         hint: write kind = \"news\"\n",
    );
    dir.write(&file, text.replace("connections", "conections").replace("port = 9", "port = \"nine\""));
    dir.run(&["plan", &file]).ended(2).says("`port` is the text \"nine\", and must be a whole number");
    dir.write(&file, text.replace("id = \"c\"", "id = \"c\"\nkind = 5"));
    let ran = dir.run(&["plan", &file]).ended(2);
    ran.says("error: `kind` must be a text in quotes\n  --> c.toml:3:8\n   |\n 3 | kind = 5\n")
        .says("hint: write one of `news`, `update`, `alarm`, in quotes\n");
    dir.write(&file, text.replace("port = 9", "port = 99999"));
    dir.run(&["plan", &file]).ended(2).says("`port` is `99999`, and must be a whole number from 0 to 65535");
    dir.write(&file, text + "[stop]\nmax-invalid-percent = 200\n");
    dir.run(&["plan", &file]).ended(2).says("`max-invalid-percent` is 200").says("use 0 to 100");
}

#[test]
fn one_row_is_a_row_and_times_are_those_of_plan() {
    let dir = Dir::new();
    dir.run(&["init", "Spring news"]).ended(0);
    let file = "Spring news/campaign.toml";
    let recipients = fs::read_to_string(dir.path().join("Spring news/recipients.csv")).unwrap();
    let first: Vec<&str> = recipients.lines().take(2).collect();
    dir.write("Spring news/recipients.csv", first.join("\n") + "\n");
    let check = dir.run(&["check", file, "--offline"]).ended(0).stdout();
    assert!(
        check.contains("1 of 1 row can be sent to") && check.contains("1 of 1 row can be rendered"),
        "{check}"
    );
    let plan = dir.run(&["plan", file]).ended(0).stdout();
    let slot = |text: &str, after: &str| {
        let (_, rest) = text.split_once(after).unwrap_or_else(|| panic!("no `{after}` in {text}"));
        rest.lines().nth(1).unwrap().split_whitespace().next().unwrap().to_owned()
    };
    assert_eq!(slot(&check, "schedule").len(), slot(&plan, "slots at").len(), "{check}\n{plan}");
    assert!(check.contains("(0ms), limited by") && plan.contains("(0ms), limited by"), "{check}\n{plan}");
    let sent = dir.run(&["send", file]).ended(0);
    assert!(sent.stderr().contains("run Spring-news/"), "the folder's name: {}", sent.stderr());
    sent.says("1 of 1 row to send, about 0ms at 150,000 an hour");
    let message = dir.run(&["render", file, "--row", "1"]).ended(0).stdout();
    assert!(message.contains("\n-- \r\n") || message.contains("\n--=20\r\n"), "{message}");
}

#[test]
fn what_the_campaign_names_and_nobody_has_is_shown_where_it_is_named() {
    let dir = Dir::new();
    let file = campaign(&dir, "c", 9, "", "");
    list(&dir, "c", 2);
    let text = fs::read_to_string(dir.path().join(&file)).unwrap();
    let check = |from: &str, to: &str, says: &[&str]| {
        dir.write(&file, text.replace(from, to));
        let mut ran = dir.run(&["plan", &file]).ended(2);
        for part in says {
            ran = ran.says(part);
        }
    };
    let start = "hint: paths start from the campaign file's folder\n";
    let place = "  --> c.toml:10:8\n    |\n 10 | text = \"no.hbs\"\n    |        ^\n";
    check("letter.hbs", "no.hbs", &["error: template `no.hbs` not found\n", place, start]);
    let two = "text = \"letter.hbs\"\nattachments = [\"letter.hbs\", \"terms.pdf\"]";
    let place = "  --> c.toml:11:30\n    |\n 11 | attachments = [";
    check("text = \"letter.hbs\"", two, &["error: attachment `terms.pdf` not found\n", place, start]);
    let results = "[results]\ncolumns = [\"n\",\n  \"zip\"]\n[delivery]\n";
    let place = "  --> c.toml:13:3\n    |\n 13 |   \"zip\"]\n    |   ^\n";
    check("[delivery]\n", results, &["column `zip` of [results] not found\n", place, "`email`, `n`"]);

    dir.write(&file, &text);
    let ran = dir.run(&["plan", &file, "--list", "/"]).ended(2).says("`/` is a folder");
    assert!(ran.says("name a file in it, or a pattern").stderr().lines().count() <= 3);
    dir.run(&["retry", "c", "--disposition", "bogus"])
        .ended(2)
        .says("the words are accepted, bounced, deferred");
}

#[test]
fn a_mistyped_default_and_a_missing_attachment_are_named() {
    let dir = Dir::new();
    let more = "[template.defaults]\nnn = \"7\"\n";
    let file = campaign(&dir, "c", 9, "", more);
    list(&dir, "c", 2);
    let ran = dir.run(&["plan", &file]).ended(0);
    ran.says("warning: no template uses `nn` of [template.defaults]; did you mean `n`?");

    let text = fs::read_to_string(dir.path().join(&file)).unwrap();
    let text = text.replace(
        "text = \"letter.hbs\"",
        "text = \"letter.hbs\"\nattachment-columns = [\"bill\"]\nattachment-folder = \"bills\"",
    );
    dir.write(&file, text.replace("[template.defaults]\nnn = \"7\"\n", ""));
    fs::create_dir(dir.path().join("bills")).unwrap();
    dir.write("c.csv", "email,n,bill\na@x.example,1,bills/1.pdf\nb@x.example,2,\n");
    let report = dir.run(&["check", &file, "--offline"]).stdout();
    assert!(report.contains("correct the row's path, or put the file there"), "{report}");
    assert!(!report.contains("template.defaults"), "{report}");
    let ran = dir.run(&["render", &file, "--row", "1"]).ended(2);
    ran.says("hint: correct the row's path, or put the file there");
}

#[test]
fn a_retry_says_who_is_suppressed_and_does_not_end_well_with_nobody_else() {
    let relay = Relay::start(Options::default());
    let dir = Dir::new();
    let file = campaign(&dir, "c", relay.port(), "", "[stop]\nbounce-percent = 0\n");
    dir.write("c.csv", "email,n\nrcpt-550-5.1.1@x.example,1\nrcpt-554-5.7.1@x.example,2\n");
    dir.run(&["send", &file]).ended(1);
    let ran = dir.run(&["retry", "c", "--disposition", "bounced"]).ended(1);
    ran.says("1 of 2 rows have an address on the suppression list and get nothing").says("for 45 days");
    dir.run(&["suppress", "add", "rcpt-554-5.7.1@x.example"]).ended(0);
    let runs = fs::read_dir(dir.path().join("runs/c")).unwrap().count();
    let first = fs::read_dir(dir.path().join("runs/c")).unwrap().map(|run| run.unwrap().file_name());
    let first = first.map(|name| name.into_string().unwrap()).find(|name| {
        let manifest =
            fs::read_to_string(dir.path().join("runs/c").join(name).join("manifest.json")).unwrap();
        !manifest.contains("\"dispositions\"")
    });
    let again = ["retry", &first.unwrap(), "--disposition", "bounced,deferred"];
    let ran = dir.run(&again).ended(2);
    ran.says("all addresses are on the suppression list: a bounce puts an address there for 45 days");
    assert_eq!(fs::read_dir(dir.path().join("runs/c")).unwrap().count(), runs, "nothing is left behind");
    relay.stop();
}
