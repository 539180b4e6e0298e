//! Manual pages and completions: there are some for every command and every option.

use std::fs;
use std::process::Command;

use super::kit::Dir;

/// Every visible command with its words, `["mailrun", "suppress", "add"]`.
fn commands() -> Vec<(Vec<String>, clap::Command)> {
    fn walk(command: &clap::Command, words: &[String], all: &mut Vec<(Vec<String>, clap::Command)>) {
        let words: Vec<String> = words.iter().cloned().chain([command.get_name().to_owned()]).collect();
        for below in command.get_subcommands().filter(|below| !below.is_hide_set()) {
            walk(below, &words, all);
        }
        all.push((words, command.clone()));
    }
    let mut command = mailrun::cli::command().disable_help_subcommand(true);
    command.build();
    let mut all = Vec::new();
    walk(&command, &[], &mut all);
    assert!(all.len() > 20, "{} commands", all.len());
    all
}

fn long_options(command: &clap::Command) -> impl Iterator<Item = &str> {
    command.get_arguments().filter(|argument| !argument.is_hide_set()).filter_map(clap::Arg::get_long)
}

#[test]
fn every_command_has_a_manual_page_with_all_its_options() {
    let dir = Dir::new();
    dir.run(&["man", "pages"]).ended(0);
    let commands = commands();
    for (words, command) in &commands {
        let name = format!("{}.1", words.join("-"));
        let page = fs::read_to_string(dir.path().join("pages").join(&name))
            .unwrap_or_else(|error| panic!("{name}: {error}"));
        assert!(page.contains(".SH NAME") && page.contains(".SH SYNOPSIS"), "{name}:\n{page}");
        for option in long_options(command) {
            let escaped = option.replace('-', "\\-");
            assert!(page.contains(&format!("\\-\\-{escaped}")), "{name} lacks --{option}:\n{page}");
        }
        let about = command.get_about().unwrap_or_else(|| panic!("{name}: no description")).to_string();
        assert!(!about.is_empty(), "{name}");
    }
    assert_eq!(fs::read_dir(dir.path().join("pages")).unwrap().count(), commands.len(), "no page too many");
}

#[test]
fn bash_completes_every_command_and_option() {
    let dir = Dir::new();
    dir.write("mailrun.bash", dir.run(&["completions", "bash"]).ended(0).stdout());
    for (words, command) in commands() {
        let line = words.iter().map(|word| format!("'{word}'")).collect::<Vec<_>>().join(" ");
        let complete = |begun: &str| {
            let script = format!(
                "source ./mailrun.bash; COMP_WORDS=({line} '{begun}'); COMP_CWORD={}; \
                 _mailrun mailrun '{begun}' '{}'; printf '%s\\n' \"${{COMPREPLY[@]}}\"",
                words.len(),
                words.last().unwrap(),
            );
            let output = Command::new("bash").args(["-c", &script]).current_dir(dir.path()).output().unwrap();
            assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
            String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect::<Vec<_>>()
        };
        let offered = complete("--");
        for option in long_options(&command) {
            assert!(offered.contains(&format!("--{option}")), "{line} --{option}: {offered:?}");
        }
        let offered = complete("");
        for below in command.get_subcommands().filter(|below| !below.is_hide_set()) {
            assert!(offered.iter().any(|word| word == below.get_name()), "{line} {below}: {offered:?}");
        }
    }
}

#[test]
fn zsh_and_fish_know_every_command_and_option() {
    let dir = Dir::new();
    let zsh = dir.run(&["completions", "zsh"]).ended(0).stdout();
    let fish = dir.run(&["completions", "fish"]).ended(0).stdout();
    for (words, command) in commands() {
        if words.len() > 1 {
            let function = format!("_{}_commands()", words.join("__subcmd__"));
            assert!(zsh.contains(&function), "zsh lacks {function}");
            assert!(fish.contains(&format!(" -a \"{}\"", command.get_name())), "fish lacks {words:?}");
        }
        for option in long_options(&command) {
            assert!(
                zsh.contains(&format!("--{option}[")) || zsh.contains(&format!("--{option}=[")),
                "zsh: {option}"
            );
            assert!(fish.contains(&format!(" -l {option} ")), "fish lacks --{option} of {words:?}");
        }
    }
}
