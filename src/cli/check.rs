//! `mailrun check`: everything that can be known before sending. Sends nothing; leaves the manifest of what it saw.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::args::{self, Common, DnsOptions};
use super::diagnostic::{Diagnostic, chain};
use super::exit::Exit;
use super::job::{self, Job};
use super::text::{count, duration, table};
use super::{log, moment, out, paths, ways};
use crate::campaign::{Campaign, Relay, RouteKind};
use crate::dkim::Signer;
use crate::mail::{Domain, Timestamp};
use crate::plan::{Plan, ScreenedRows, top_domains};
use crate::preflight::approval::Approval;
use crate::preflight::finish_time::{self, Estimate, Share};
use crate::preflight::list::{self, DryRun, FailedRow, Looking};
use crate::preflight::sender::{self, Egress, Sender};
use crate::preflight::{self, content};
use crate::preflight::{Finding, Findings, Id, Level};
use crate::route::{Resolver, Shaping};
use crate::screen::Counts;
use crate::smtp::{Extensions, Security, Target};
use crate::state;
use crate::suppression::{AddressKey, Checker};

/// How often the progress is told.
const PROGRESS_EVERY: Duration = Duration::from_secs(5);
/// Slots and shares that are listed.
const LISTED: usize = 8;
/// Screened rows looked at for examples.
const SCREENED_SEEN: usize = 10_000;
/// Domains whose provider is looked up: those with the most rows.
const DOMAINS_LOOKED_UP: usize = 100;
/// Files that messages carry which are scanned.
const MOST_FILES: usize = 1_000;
/// Rows tried for a message to look at.
const SAMPLE_ROWS: u32 = 64;
/// Failing rows named in the report; `--json` has more.
const FAILURES_NAMED: usize = 10;

pub fn run(common: &Common, args: &args::Check) -> Result<Exit, Diagnostic> {
    let mut campaign = job::load(common, &args.selection.campaign)?;
    if args.sandbox {
        campaign.delivery.route = RouteKind::Sandbox;
    }
    let deadline = args.deadline.as_deref().map(moment::parse).transpose()?;
    let job = Job::open(common, campaign)?;
    let campaign = &job.materials.campaign;
    let mut findings = Findings::default();

    let whole = Whole::look(common, &job, args.selection.limit.map(u64::from))?;
    findings.extend(sender_findings(&job, &whole.plan, &args.dns, args.offline)?);
    findings.extend(content_findings(&job, &whole.plan)?);
    if !args.offline && !args.dns.is_given() {
        findings.extend(relay_findings(campaign)?);
    }
    findings.extend(whole.findings(&job)?);
    let shares = shares(&whole.plan, campaign, args)?;
    let sending = whole.counts.accepted - whole.suppressed;
    let estimate = finish_time::estimate(sending, &campaign.capacity, shares, Timestamp::wall());
    findings.push(estimate.finding(&campaign.capacity, deadline));
    if campaign.delivery.route == RouteKind::Sandbox {
        findings.rehearse();
    }

    let manifest = args.manifest.clone().unwrap_or_else(|| approval_file(common, campaign));
    whole.approval.write(&manifest).map_err(|error| {
        Diagnostic::new(chain(&error))
            .at(manifest.display())
            .hint("name another place with `--manifest FILE`")
    })?;
    let refused = findings.refuse(args.strict);
    if args.json {
        out(&format!("{:#}\n", whole.json(&job, &findings, &estimate, refused)))?;
    } else {
        out(&whole.text(&job, &findings, &estimate, refused))?;
    }
    Ok(if refused { Exit::Refused } else { Exit::Ok })
}

/// What receivers will look up about the sender.
pub fn sender_findings(
    job: &Job,
    plan: &Plan,
    dns: &DnsOptions,
    offline: bool,
) -> Result<Vec<Finding>, Diagnostic> {
    let campaign = &job.materials.campaign;
    if offline && !dns.is_given() {
        let seen = "the sender's domains were not looked up: --offline";
        return Ok(vec![Finding::new(Id::Offline, seen)]);
    }
    let resolver = dns.resolver(campaign)?;
    let signer = job.materials.load_signer()?;
    let message = sample_message(job, plan, &signer)?;
    let sender = Sender {
        from: campaign.sender.from.address.domain(),
        return_path: campaign.sender.return_path().domain(),
        signer: &signer,
        egress: &egress(campaign),
        relay: relay(campaign),
        message: message.as_deref(),
    };
    Ok(super::runtime()?.block_on(sender::check(&sender, &resolver)))
}

/// The local addresses that receivers see: those of route `mx`. Behind a relay they see the relay's.
pub fn egress(campaign: &Campaign) -> Vec<Egress> {
    let seen = campaign.egress().filter(|_| campaign.delivery.route == RouteKind::Mx);
    let default = campaign.delivery.ehlo.as_ref();
    seen.map(|egress| Egress { address: egress.address, ehlo: egress.ehlo.as_ref().or(default).cloned() })
        .collect()
}

/// The relay that mail is handed to.
pub fn relay(campaign: &Campaign) -> Option<&str> {
    match campaign.delivery.route {
        RouteKind::Relay => campaign.main_relays().first().map(|relay| relay.host.as_str()),
        RouteKind::Mx | RouteKind::Sandbox => None,
    }
}

/// What the daemons that the campaign names say of a message and of every file that messages carry.
fn content_findings(job: &Job, plan: &Plan) -> Result<Vec<Finding>, Diagnostic> {
    let campaign = &job.materials.campaign;
    let checks = &campaign.checks;
    if checks.spamd.is_none() && checks.clamd.is_none() {
        return Ok(Vec::new());
    }
    let Some(message) = sample_message(job, plan, &job.materials.load_signer()?)? else {
        return Ok(Vec::new());
    };
    let template = &campaign.template;
    let mut paths: BTreeSet<PathBuf> = template.attachments.iter().cloned().collect();
    paths.extend(template.inline.iter().map(|inline| inline.file.clone()));
    if !template.attachment_columns.is_empty() && checks.clamd.is_some() {
        for index in 0..plan.len() {
            let row = plan.row(index)?;
            let named =
                template.attachment_columns.iter().filter_map(|column| row.values.get(column)?.as_str());
            let named = named.map(str::trim).filter(|file| !file.is_empty());
            paths.extend(named.map(|file| template.folder.join(file)));
            if paths.len() >= MOST_FILES {
                break;
            }
        }
    }
    let shown = |path: &Path| path.strip_prefix(&template.folder).unwrap_or(path).display().to_string();
    // A file that can't be read is a finding of the list already.
    let files = paths.iter().filter_map(|path| Some((shown(path), fs::read(path).ok()?)));
    Ok(content::check(checks, &message, &files.collect::<Vec<_>>()))
}

/// Whether the relays answer, and how they are secured.
fn relay_findings(campaign: &Campaign) -> Result<Vec<Finding>, Diagnostic> {
    let main = campaign.main_relays().into_iter().filter(|_| campaign.delivery.route == RouteKind::Relay);
    let named = campaign
        .relay
        .iter()
        .filter(|relay| campaign.route.iter().any(|route| Some(&route.relay) == relay.name.as_ref()));
    let mut findings = Vec::new();
    for relay in main.chain(named.filter(|_| campaign.delivery.route != RouteKind::Sandbox)) {
        findings.extend(findings_of_relay(campaign, relay)?);
    }
    Ok(findings)
}

fn findings_of_relay(campaign: &Campaign, relay: &Relay) -> Result<Vec<Finding>, Diagnostic> {
    let security = Security::new(relay.tls, relay.ca_file.as_deref())
        .map_err(|error| Diagnostic::of("can't set up TLS", &error))?;
    let ehlo = ways::ehlo_name(campaign.delivery.ehlo.as_deref())?;
    super::runtime()?.block_on(async {
        // As the run finds them: the system's resolver, /etc/hosts too.
        let found = tokio::net::lookup_host((relay.host.as_str(), relay.port())).await;
        let target = Target {
            host: relay.host.clone(),
            addresses: found.map(Iterator::collect).unwrap_or_default(),
            local_ip: None,
            ehlo,
            security,
            credentials: None,
            timeouts: campaign.delivery.timeouts.clone(),
            extensions: Extensions::default(),
        };
        Ok(preflight::relay::check(&target, Timestamp::wall()).await)
    })
}

/// A signed message of the campaign: that of the first row that has one.
fn sample_message(job: &Job, plan: &Plan, signer: &Signer) -> Result<Option<Vec<u8>>, Diagnostic> {
    let composer = list::composer(&job.materials.campaign)?;
    for index in 0..plan.len().min(SAMPLE_ROWS) {
        let Ok(message) = composer.compose(&plan.row(index)?, Timestamp::wall()) else { continue };
        let signed = signer.sign(message, Timestamp::wall());
        return Ok(Some(signed.map_err(|error| Diagnostic::of("can't sign a message", &error))?.to_vec()));
    }
    Ok(None)
}

/// The parts of the list by provider, the largest first: domains whose mail goes to the same provider are one. With route `mx` each
/// has the rate that the provider takes; a relay has its own ways.
fn shares(plan: &Plan, campaign: &Campaign, args: &args::Check) -> Result<Vec<Share>, Diagnostic> {
    let domains = top_domains(plan, DOMAINS_LOOKED_UP);
    let ask = !args.offline || args.dns.is_given();
    let mut shares: BTreeMap<String, Share> = BTreeMap::new();
    let mut add = |name: String, rows: u64, per_second: Option<f64>| {
        let share = shares.entry(name.clone()).or_insert(Share { name, rows: 0, per_second });
        share.rows += rows;
    };
    if campaign.delivery.route == RouteKind::Sandbox || !ask {
        domains.into_iter().for_each(|(domain, rows)| add(domain, rows, None));
    } else {
        let resolver = args.dns.resolver(campaign)?;
        let shaping = Shaping::new(&campaign.shaping)?;
        let hosts = super::runtime()?.block_on(mail_hosts(&resolver, &domains));
        for ((domain, rows), hosts) in domains.into_iter().zip(hosts) {
            let Ok(parsed) = domain.parse::<Domain>() else { continue };
            let limits = shaping.of(&parsed, &hosts);
            let rate = limits.provider_messages_per_second.or(limits.messages_per_second);
            let rate = rate.filter(|_| campaign.delivery.route == RouteKind::Mx);
            match &limits.provider {
                Some(provider) => add(provider.to_string(), rows, rate),
                None => add(domain, rows, rate),
            }
        }
    }
    let mut shares: Vec<Share> = shares.into_values().collect();
    shares.sort_by(|a, b| b.rows.cmp(&a.rows).then_with(|| a.name.cmp(&b.name)));
    Ok(shares)
}

/// The hosts that take each domain's mail; none where DNS does not say.
async fn mail_hosts(resolver: &Resolver, domains: &[(String, u64)]) -> Vec<Vec<String>> {
    let mut lookups = tokio::task::JoinSet::new();
    for (at, (domain, _)) in domains.iter().enumerate() {
        let (resolver, domain) = (resolver.clone(), domain.clone());
        lookups.spawn(async move {
            let found = resolver.mx(&domain).await;
            (at, found.map(|found| found.records.into_iter().map(|mx| mx.host).collect()).unwrap_or_default())
        });
    }
    let mut hosts = vec![Vec::new(); domains.len()];
    while let Some(found) = lookups.join_next().await {
        let (at, found) = found.expect("a lookup does not panic");
        hosts[at] = found;
    }
    hosts
}

/// Where the manifest of the last check is.
pub fn approval_file(common: &Common, campaign: &Campaign) -> PathBuf {
    paths::runs_of(common, campaign).join(&campaign.identity.id).join("approval.json")
}

/// File and row of a row of the plan.
pub fn place(job: &Job, plan: &Plan, index: u32) -> String {
    let (file, row) = plan.place(index);
    format!("{}, row {row}", job.group.files()[file as usize].shown)
}

/// The whole list, screened and rendered. The suppression list of this machine is left aside, so that the approval is the
/// same on every machine.
pub struct Whole {
    plan: Plan,
    counts: Counts,
    screened: PathBuf,
    suppressed: u64,
    dry_run: DryRun,
    pub approval: Approval,
    /// Holds the plan.
    _folder: tempfile::TempDir,
}

impl Whole {
    pub fn look(common: &Common, job: &Job, limit: Option<u64>) -> Result<Self, Diagnostic> {
        let campaign = &job.materials.campaign;
        let (inputs, contents) = (job.inputs()?, job.materials.contents()?);
        let nobody = state::in_memory().suppressions()?;
        let (folder, dir, screening) = job.freeze_aside(&nobody, limit, None)?;
        let plan = Plan::open(&dir.plan())?;
        let composer = list::composer(campaign)?;
        let rows = list::sample(plan.len(), u32::MAX);
        let told = Mutex::new((Instant::now(), 0_u64));
        let progress = |rows: u64| {
            let mut told = told.lock().expect("no holder of the lock panics");
            told.1 += rows;
            if !common.quiet && !common.no_progress && told.0.elapsed() >= PROGRESS_EVERY {
                told.0 = Instant::now();
                log::print(&format!("{} of {} rows rendered", count(told.1), count(u64::from(plan.len()))));
            }
        };
        let dry_run = list::dry_run(&plan, &composer, &Looking::new(campaign), &rows, progress)?;
        let signer = job.materials.load_signer()?;
        let approval = Approval::new(
            campaign,
            &job.materials.signatures(),
            &signer,
            &inputs,
            &contents,
            limit,
            &dry_run,
        );
        let suppressed = suppressed(common, &plan)?;
        let (counts, screened) = (screening.counts, dir.screened());
        Ok(Self { plan, counts, screened, suppressed, dry_run, approval, _folder: folder })
    }

    fn findings(&self, job: &Job) -> Result<Findings, Diagnostic> {
        let screened: Vec<_> =
            ScreenedRows::open(&self.screened)?.take(SCREENED_SEEN).collect::<Result<_, _>>()?;
        let files: Vec<String> = job.group.files().iter().map(|file| file.shown.clone()).collect();
        let mut findings = Findings::default();
        findings.extend(list::screening(&self.counts, &screened, &files, self.suppressed));
        findings.extend(self.dry_run.findings(|index| place(job, &self.plan, index)));
        Ok(findings)
    }

    fn text(&self, job: &Job, findings: &Findings, estimate: &Estimate, refused: bool) -> String {
        let mut text = findings.to_string();
        let failures = self.dry_run.failures();
        if !failures.is_empty() {
            text.push_str("rows that can't be rendered\n");
            let line = |failed: &FailedRow| {
                format!("  {}: {}\n", place(job, &self.plan, failed.index), failed.reason)
            };
            text.extend(failures.iter().take(FAILURES_NAMED).map(line));
            let more = self.dry_run.failed().saturating_sub(FAILURES_NAMED as u64);
            if more > 0 {
                text.push_str(&format!("  … and {} more; --json names up to 1,000\n", count(more)));
            }
            text.push('\n');
        }
        text.push_str(&plan_of_the_night(estimate));
        let words = [Level::Refused, Level::Warning, Level::Note, Level::Ok].map(|level| {
            let number = findings.count(level);
            let plural = if number == 1 || matches!(level, Level::Refused | Level::Ok) { "" } else { "s" };
            (number > 0).then(|| format!("{number} {level}{plural}"))
        });
        let words: Vec<String> = words.into_iter().flatten().collect();
        text.push_str(&format!(
            "{}: {}\n{} rows rendered in {}, {:.0}/s\napproval {}\n",
            if refused { "refused" } else { "nothing refused" },
            words.join(", "),
            count(self.dry_run.rows()),
            duration(self.dry_run.took),
            self.dry_run.rate(),
            self.approval.hash
        ));
        text
    }

    fn json(&self, job: &Job, findings: &Findings, estimate: &Estimate, refused: bool) -> Value {
        let failures = self.dry_run.failures().iter();
        let failures: Vec<_> = failures
            .map(|failed| {
                let (file, row) = self.plan.place(failed.index);
                let file = &job.group.files()[file as usize].shown;
                json!({"file": file, "row": row, "column": failed.column, "reason": failed.reason})
            })
            .collect();
        json!({
            "campaign": job.materials.campaign.identity.id,
            "refused": refused,
            "findings": findings.iter().collect::<Vec<_>>(),
            "list": {
                "screening": self.counts, "suppressed": self.suppressed, "rendered": self.dry_run.rows(),
                "failed": self.dry_run.failed(), "failures": failures, "sizes": self.dry_run.sizes(),
                "seconds": self.dry_run.took.as_secs_f64(), "rows-per-second": self.dry_run.rate(),
            },
            "night": estimate,
            "approval": self.approval.hash,
        })
    }
}

/// The accepted rows whose address is on the suppression list now.
fn suppressed(common: &Common, plan: &Plan) -> Result<u64, Diagnostic> {
    let checker = Checker::open(paths::state(common)?.suppressions()?, Timestamp::wall())?;
    if checker.is_empty() {
        return Ok(0);
    }
    let mut key = String::new();
    let mut suppressed = 0;
    for index in 0..plan.len() {
        let address = plan.address(index);
        AddressKey::write(address.local(), address.domain().as_str(), &mut key);
        suppressed += u64::from(checker.check(checker.fingerprinter().of(&key), || &key)?.is_some());
    }
    Ok(suppressed)
}

/// Slots as a small table, and the parts of the list by their share.
fn plan_of_the_night(estimate: &Estimate) -> String {
    if estimate.slots.is_empty() {
        return String::new();
    }
    let mut text = "the night\n".to_owned();
    let mut rows: Vec<Vec<String>> = (estimate.slots.iter().take(LISTED))
        .map(|(slot, messages)| vec![slot.to_utc().format("%F %H:%M UTC").to_string(), count(*messages)])
        .collect();
    if let Some((last, messages)) = estimate.slots.last()
        && estimate.slots.len() > LISTED
    {
        rows.push(vec![format!("… {} slots in all, the last", count(estimate.slots.len() as u64))]);
        rows.push(vec![last.to_utc().format("%F %H:%M UTC").to_string(), count(*messages)]);
    }
    text.push_str(&table(&rows));
    let share = |rows: u64| format!("{:.1} %", rows as f64 * 100.0 / estimate.rows.max(1) as f64);
    let rows: Vec<_> = (estimate.shares.iter().take(LISTED))
        .map(|part| {
            let limit = part.per_second.map_or(String::new(), |rate| format!("at most {rate:.0}/s"));
            vec![part.name.clone(), count(part.rows), share(part.rows), limit]
        })
        .collect();
    text.push('\n');
    text.push_str(&table(&rows));
    text.push('\n');
    text
}
