//! `mailrun sandbox`: the embedded receiver alone, for load tests and rehearsals of other programs.

use std::time::Duration;

use super::args;
use super::diagnostic::Diagnostic;
use super::exit::Exit;
use super::text::count;
use crate::sandbox::{BEHAVIOUR_SUFFIXES, BEHAVIOURS, Credentials, Keep, Options, Sandbox, Stats};

/// How often the totals are printed.
const TOTALS_EVERY: Duration = Duration::from_secs(5);

/// The table of behaviours, for `--help`.
pub fn behaviours() -> String {
    let rows = BEHAVIOURS.iter().chain(BEHAVIOUR_SUFFIXES);
    let lines = rows.map(|(local_part, what)| format!("  {local_part:<28}  {what}\n")).collect::<String>();
    format!("The recipient's local part says what happens to it; any other is accepted:\n{lines}")
}

pub fn run(args: args::Sandbox, quiet: bool) -> Result<Exit, Diagnostic> {
    let auth = args.auth.as_deref().map(parse_auth).transpose()?;
    let options = Options {
        listen: args.listen,
        keep: args.keep.map_or(Keep::Count, Keep::Eml),
        record: args.record,
        auth,
        ..Options::default()
    };
    let runtime = super::runtime()?;
    runtime.block_on(async {
        let sandbox = Sandbox::start(options).await.map_err(|error| {
            Diagnostic::of("can't start the sandbox", &error).hint("choose another address with --listen")
        })?;
        if let Some(path) = args.certificate {
            std::fs::write(&path, sandbox.certificate_pem())
                .map_err(|error| Diagnostic::of("can't write the certificate", &error).at(path.display()))?;
        }
        println!("listening on {}", sandbox.addr());
        let end = async {
            match args.seconds {
                Some(seconds) => tokio::time::sleep(Duration::from_secs(seconds)).await,
                None => std::future::pending().await,
            }
        };
        let totals = async {
            let mut before = Stats::default();
            loop {
                tokio::time::sleep(TOTALS_EVERY).await;
                let now = sandbox.stats();
                if !quiet && now != before {
                    eprintln!("{}", describe(&now));
                }
                before = now;
            }
        };
        tokio::select! {
            () = end => {}
            () = totals => {}
            stopped = super::signals::first() => stopped?,
        }
        println!("{}", describe(&sandbox.stop().await));
        Ok(Exit::Ok)
    })
}

fn parse_auth(text: &str) -> Result<Credentials, Diagnostic> {
    let (user, password) = text
        .split_once(':')
        .ok_or_else(|| Diagnostic::new("--auth takes USER:PASSWORD").hint("put a colon between the two"))?;
    Ok(Credentials { user: user.into(), password: password.into() })
}

fn describe(stats: &Stats) -> String {
    format!(
        "{} messages taken over for {} recipients, {} refused, {} connections, {} bytes",
        count(stats.accepted),
        count(stats.recipients),
        count(stats.rejected),
        count(stats.connections),
        count(stats.bytes)
    )
}
