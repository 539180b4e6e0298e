//! A folder with a made-up list, a campaign and its plan.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use mailrun::campaign::{self, Campaign, Dkim, Duplicates};
use mailrun::compose::{Composer, RunFacts};
use mailrun::mail::Timestamp;
use mailrun::plan::{Freeze, Layout, Plan, Row};
use mailrun::run_dir::RunDir;
use mailrun::state::State;
use mailrun::suppression::{Checker, Suppressions};
use mailrun::synth::ListFormat;
use mailrun::synth::{self, Spec};
use mailrun::target_group;
use mailrun::{run, screen};
use tempfile::TempDir;

/// Any moment will do.
pub(crate) const NOW: Timestamp = Timestamp(1_780_000_000_000_000);

pub(crate) struct Scene {
    pub folder: TempDir,
}

impl Scene {
    /// An empty folder beside the build, so on a disk.
    pub(crate) fn new() -> Self {
        Self {
            folder: tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))
                .expect("the build has a folder for this"),
        }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).expect("the folder can be written to");
    }

    /// A made-up list with duplicates, invalid and non-ASCII rows.
    pub(crate) fn list(&self, name: &str, rows: usize) -> PathBuf {
        let kind = if name.ends_with(".csv") { ListFormat::Csv } else { ListFormat::Parquet };
        let spec = Spec { rows: rows as u64, ..Spec::default() };
        synth::write(&spec, &self.path(name), kind, false, |_| ()).expect("the list can be written");
        self.path(name)
    }

    /// A campaign over `list.csv` of these templates.
    pub(crate) fn campaign(&self, subject: &str, text: &str, html: Option<&str>) -> Campaign {
        self.write("letter.txt.hbs", text);
        let mut template = format!("subject = \"{subject}\"\ntext = \"letter.txt.hbs\"\n");
        if let Some(html) = html {
            self.write("letter.html.hbs", html);
            template.push_str("html = \"letter.html.hbs\"\n");
        }
        let text = format!(
            "[campaign]\nid = \"bench\"\n[sender]\nfrom = \"News <news@mail.example.com>\"\n\
             [target-group]\nfiles = [\"list.csv\"]\nid = \"customer_id\"\nname = \"full_name\"\n\
             [template]\n{template}[delivery]\nroute = \"sandbox\"\n"
        );
        Campaign::parse(&text, &self.path("campaign.toml")).expect("the campaign is right")
    }

    /// The state of a user.
    pub(crate) fn state(&self) -> Arc<dyn State> {
        mailrun::state::open(&self.path("state.db"), mailrun::pacing::Clock::system())
    }

    pub(crate) fn suppression(&self) -> Arc<dyn Suppressions> {
        self.state().suppressions().expect("a new list can be made")
    }

    /// The frozen plan of the campaign's list.
    pub(crate) fn plan(&self, campaign: &Campaign) -> (RunDir, Plan) {
        let group = target_group::open(&campaign.target_group).expect("the list can be read");
        let runs = mailrun::state::runs(self.folder.path());
        let dir = runs.create("bench", &"plan".parse().expect("it is an id"));
        let dir = dir.expect("the folder can be made");
        let limits = screen::Limits { duplicates: Duplicates::IgnoreCase, rows: None };
        let checker = Checker::open(self.suppression(), None, NOW).expect("the list can be read");
        let freeze = Freeze::aside(&dir.plan_files(), Layout::new(&group.schema(), None))
            .expect("the plan can be begun");
        run::freeze(&group, freeze, limits, None, (checker, mailrun::edition::Past::default()), |_| ())
            .expect("the plan can be written");
        let plan = Plan::open(&dir.plan()).expect("the plan was just written");
        (dir, plan)
    }

    /// Rows to compose.
    pub(crate) fn rows(&self, campaign: &Campaign, most: u32) -> Vec<Row> {
        let (_, plan) = self.plan(campaign);
        (0..plan.len().min(most)).map(|row| plan.row(row).expect("the plan is whole")).collect()
    }
}

pub(crate) fn composer(campaign: &Campaign) -> Composer {
    let facts = RunFacts {
        run_id: "bench".to_owned(),
        token_secret: vec![7; 32],
        document_secret: vec![7; 32],
        is_test: false,
    };
    Composer::new(campaign, facts).expect("the templates are right")
}

/// The list as a target group.
pub(crate) fn group(path: &Path) -> campaign::TargetGroupSource {
    let files = vec![path.to_str().expect("the path is text").to_owned()];
    let group = campaign::TargetGroupSource::of_files(files, "email");
    campaign::TargetGroupSource {
        id: Some("customer_id".to_owned()),
        name: Some("full_name".to_owned()),
        ..group
    }
}

/// The keys of the example: RSA-2048 and Ed25519.
pub(crate) fn keys() -> [Dkim; 2] {
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/welcome/campaign.toml");
    let keys = Campaign::load(&fixture).expect("the example loads").dkim;
    <[Dkim; 2]>::try_from(keys).expect("the example signs with RSA, then with Ed25519")
}

/// Seventy letters and a line end, again and again: some such number of bytes.
pub(crate) fn prose(bytes: usize) -> String {
    "Some seventy letters of a body that is like the text of any message.\r\n".repeat(bytes.div_ceil(70))
}
