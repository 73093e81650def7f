//! The model files of a directory as looks see them one after another, and what the log says.

use std::{
    fs, io,
    sync::{Mutex, PoisonError},
};

use tempfile::TempDir;
use tracing::subscriber::DefaultGuard;

use super::*;
use crate::{
    rollout::{ApplyOptions, Settings},
    scoring::{Tenant, Timestamp},
    store::embedded::Embedded,
    telemetry::Counters,
};

const MODEL: &str = r#"
[scores.interest]
half_life = "7d"
[[signals]]
name = "visited"
on = "visit"
points = { interest = 3 }
"#;

/// What was logged since this was last asked.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    fn take(&self) -> String {
        let mut bytes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8(std::mem::take(&mut *bytes)).unwrap()
    }
}

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A deployment on an embedded store, and the files of its models.
struct Watched {
    directory: TempDir,
    _data: TempDir,
    deployment: Arc<Deployment<Embedded>>,
    files: ModelFiles,
    log: Log,
    _logging: DefaultGuard,
}

impl Watched {
    /// With one tenant, `shop`.
    async fn new() -> Self {
        let log = Log::default();
        let writer = log.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_ansi(false)
            .with_writer(move || writer.clone())
            .finish();
        let logging = tracing::subscriber::set_default(subscriber);
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("shop.toml"), MODEL).unwrap();
        let models = Models::load(Some(directory.path())).unwrap();
        let files = ModelFiles::new(directory.path(), &models);
        let data = tempfile::tempdir().unwrap();
        let settings = Settings {
            max_tenants: 1_000,
            auto_create_tenants: true,
            rebuild_rate: 20_000,
        };
        let counters = Counters::disabled();
        let clock = Arc::new(|| Timestamp::from_nanos(1_767_268_800_000_000_000).unwrap());
        let store = Arc::new(Embedded::open(data.path()).unwrap());
        let deployment = Deployment::open(store, models, settings, clock, 1, counters).await;
        log.take();
        Self {
            directory,
            _data: data,
            deployment: deployment.unwrap(),
            files,
            log,
            _logging: logging,
        }
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.directory.path().join(name), text).unwrap();
    }

    /// What a look at the files says.
    async fn look(&mut self) -> String {
        let deployment = &self.deployment;
        deployment.look_at_files(&mut self.files, false).await;
        self.log.take()
    }

    /// What is said when the operator has the files read.
    async fn reload(&mut self) -> String {
        let deployment = &self.deployment;
        deployment.look_at_files(&mut self.files, true).await;
        self.log.take()
    }

    fn is_latest(&self, source: &str) -> bool {
        let known = self.deployment.latest.of_scope("shop").unwrap();
        known.model.fingerprint() == Model::parse(source).unwrap().fingerprint()
    }
}

/// The same with other points.
fn worth(points: u32) -> String {
    MODEL.replace("interest = 3", &format!("interest = {points}"))
}

#[tokio::test]
async fn a_refused_text_is_told_once_and_again_to_whoever_asks() {
    let mut watched = Watched::new().await;
    watched.write("zoo.toml", "nonsense");
    assert_eq!(watched.look().await, "", "it may be in the middle");
    let told = watched.look().await;
    assert!(told.contains("a new model file is refused"), "{told}");
    assert!(told.contains("zoo.toml:1:"), "{told}");
    assert!(!told.contains("keeps serving"), "{told}");
    assert_eq!(watched.look().await, "");
    let again = watched.reload().await;
    assert!(again.contains("zoo.toml:1:"), "{again}");
    assert!(!again.contains("no model file has changed"), "{again}");

    watched.write("shop.toml", "[scores]");
    let told = watched.reload().await;
    assert!(told.contains("the model of before keeps serving"), "{told}");
    assert_eq!(watched.look().await, "");
    watched.write("shop.toml", &worth(5));
    watched.reload().await;
    assert!(watched.is_latest(&worth(5)));

    watched.write("zoo.toml", MODEL);
    let told = watched.reload().await;
    assert!(told.contains("a new model file"), "{told}");
    let told = watched.reload().await;
    assert!(told.contains("no model file has changed"), "{told}");
}

#[tokio::test]
async fn a_misnamed_file_leaves_the_others_followed() {
    let mut watched = Watched::new().await;
    watched.write("Not a Tenant.toml", MODEL);
    watched.write("shop.toml", &worth(5));
    let told = watched.look().await;
    assert!(told.contains("Not a Tenant.toml is not named"), "{told}");
    let told = watched.look().await;
    assert!(!told.contains("Not a Tenant"), "{told}");
    assert!(watched.is_latest(&worth(5)));
    let told = watched.reload().await;
    assert!(told.contains("Not a Tenant"), "{told}");
}

#[tokio::test]
async fn a_file_counts_when_two_looks_agree_on_it() {
    let mut watched = Watched::new().await;
    let whole = worth(5) + "[[stages]]\nname = \"awareness\"\n";
    for written in [worth(5).as_str(), &whole, &whole[..whole.len() / 2], &whole] {
        watched.write("shop.toml", written);
        assert_eq!(watched.look().await, "");
        assert!(watched.is_latest(MODEL));
    }
    watched.look().await;
    assert!(watched.is_latest(&whole));
    watched.write("shop.toml", MODEL);
    watched.reload().await;
    assert!(
        watched.is_latest(MODEL),
        "the operator says that it is whole"
    );
}

#[tokio::test]
async fn a_file_that_is_gone_is_told_once_and_again_to_whoever_asks() {
    let mut watched = Watched::new().await;
    watched.write("zoo.toml", "nonsense");
    watched.reload().await;
    for name in ["shop.toml", "zoo.toml"] {
        fs::remove_file(watched.directory.path().join(name)).unwrap();
    }
    let told = watched.look().await;
    assert!(told.contains("the model file is gone"), "{told}");
    assert!(!told.contains("zoo"), "it never said a model: {told}");
    assert_eq!(watched.look().await, "");
    assert!(watched.reload().await.contains("the model file is gone"));
    watched.write("shop.toml", MODEL);
    let told = watched.reload().await;
    assert!(told.contains("no model file has changed"), "{told}");
}

#[tokio::test]
async fn a_changed_file_counts_where_there_is_no_other_server_whatever_was_applied() {
    let mut watched = Watched::new().await;
    let shop = Tenant::new("shop").unwrap();
    for points in [5, 7] {
        let model = Arc::new(Model::parse(&worth(points)).unwrap());
        let applied = watched
            .deployment
            .apply_model(Some(&shop), model, ApplyOptions::default())
            .await;
        assert!(applied.unwrap().is_new);
    }
    watched.log.take();
    watched.write("shop.toml", &worth(5));
    let told = watched.reload().await;
    assert!(watched.is_latest(&worth(5)), "{told}");
    assert!(told.contains("model applied"), "{told}");
}
