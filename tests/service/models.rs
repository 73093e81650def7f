//! Models that change while the service runs: applied, followed, taken back and compared.

use std::{collections::BTreeMap, future::Future, sync::Arc, time::Duration};

use bellwether::{
    rollout::{ApplyOptions, ModelFiles, Models, RolloutError},
    scoring::{Event, Model, Name, Profile, Tenant},
    service::{ModelComparison, Service, ServiceError, View},
    store::{Store, embedded::Embedded},
};
use tokio::sync::mpsc;

use super::{
    belongs, everybody,
    failing::Failing,
    world::{DAY, Dice, MODEL, at, event, model, open, open_with, serve_with, stream, tenant},
};

/// Waits until something holds.
pub async fn until<F: Future<Output = bool>>(what: &str, mut holds: impl FnMut() -> F) {
    for _ in 0..6_000 {
        if holds().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("waited in vain until {what}");
}

/// Other weights, another score, other bounds.
fn next() -> String {
    MODEL
        .replace(
            "points = { interest = 3, loyalty = 1 }",
            "points = { interest = 1, loyalty = 4, merit = 2 }",
        )
        .replace("[scores.fit]", "[scores.merit]\n[scores.fit]")
        .replace("min = { interest = 12 }", "min = { interest = 4 }")
        .replace("name = \"leaving\"", "name = \"gone\"")
}

fn events(seed: u64) -> Vec<Event> {
    let mut dice = Dice(seed);
    (0..400).map(|number| event(&mut dice, number)).collect()
}

/// Whether everybody is answered by this model, and no other is on its way.
async fn is_answered_by(service: &Service<Embedded>, source: &str) -> bool {
    let models = service.deployment().models(&tenant()).await.unwrap();
    let active = models.active.map(|active| active.model.fingerprint());
    active == Some(model(source).fingerprint())
        && models.candidate.is_none()
        && models.waiting_tenants == 0
}

async fn apply(service: &Service<Embedded>, source: &str) -> bool {
    let applied = service
        .deployment()
        .apply_model(None, model(source), ApplyOptions::default())
        .await
        .unwrap();
    applied.is_new
}

async fn settled(service: &Service<Embedded>, source: &str) {
    until("the model answers", || is_answered_by(service, source)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_applied_model_answers_for_all_that_was_counted() {
    let directory = tempfile::tempdir().unwrap();
    let service = open(&directory).await;
    let events = events(1);
    stream(&service, &events[..300]).await;
    assert!(apply(&service, &next()).await);
    assert!(!apply(&service, &next()).await, "it is the latest already");
    stream(&service, &events[300..]).await;
    settled(&service, &next()).await;
    let found = everybody(&service, View::Full, at(50 * DAY)).await;

    let other = tempfile::tempdir().unwrap();
    let store = Embedded::open(other.path()).unwrap();
    let fresh = serve_with(store, Models::Shared(model(&next()))).await;
    stream(&fresh, &events).await;
    let expected = everybody(&fresh, View::Full, at(50 * DAY)).await;
    let places = |profiles: &[Profile]| -> Vec<(String, Option<Name>, Vec<Name>)> {
        let places = profiles.iter().map(|profile| {
            let id = profile.profile_id.to_string();
            let segments = profile.segments.iter();
            let segments = segments.map(|member| member.segment.clone());
            (id, profile.stage.clone(), segments.collect())
        });
        places.collect()
    };
    assert_eq!(places(&found), places(&expected));
    for (found, expected) in found.iter().zip(&expected) {
        for (score, expected) in found.scores.iter().zip(&expected.scores) {
            assert_eq!(score.name, expected.name);
            // A new score that does not fade has counted nothing before.
            if score.name != "merit" {
                let difference = (score.points - expected.points).abs();
                assert!(difference <= 1e-9 * expected.points.max(1.0), "{score:?}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn going_back_is_applying_the_old_model_at_once_too() {
    let directory = tempfile::tempdir().unwrap();
    let service = open(&directory).await;
    stream(&service, &events(2)).await;
    let before = everybody(&service, View::Full, at(50 * DAY)).await;
    for _ in 0..2 {
        assert!(apply(&service, &next()).await);
        assert!(apply(&service, MODEL).await);
        settled(&service, MODEL).await;
    }
    assert!(apply(&service, &next()).await);
    settled(&service, &next()).await;
    assert!(apply(&service, MODEL).await);
    settled(&service, MODEL).await;
    assert_eq!(everybody(&service, View::Full, at(50 * DAY)).await, before);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_start_on_a_store_of_its_own_serves_the_model_that_it_names() {
    let directory = tempfile::tempdir().unwrap();
    let service = open(&directory).await;
    stream(&service, &events(3)).await;
    apply(&service, &next()).await;
    service.finish().await;
    drop(service);
    // The file of before, which the store has seen another model after.
    let service = open(&directory).await;
    assert!(is_answered_by(&service, MODEL).await);
    assert!(apply(&service, &next()).await);
    settled(&service, &next()).await;
    service.finish().await;
    drop(service);
    // Nobody names one: what was applied last stays.
    let store = Embedded::open(directory.path()).unwrap();
    let service = serve_with(store, Models::load(None).unwrap()).await;
    assert!(is_answered_by(&service, &next()).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_start_on_a_shared_store_with_an_old_file_takes_nothing_back() {
    let directory = tempfile::tempdir().unwrap();
    let shared = || Failing {
        others: 1,
        ..Failing::well(Embedded::open(directory.path()).unwrap())
    };
    for source in [MODEL, &next()] {
        let service = serve_with(shared(), Models::Shared(model(source))).await;
        service.finish().await;
    }
    let service = serve_with(shared(), Models::Shared(model(MODEL))).await;
    let models = service.deployment().models(&tenant()).await.unwrap();
    assert_eq!(latest(&models).fingerprint(), model(&next()).fingerprint());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tenant_without_records_gets_the_applied_model() {
    let directory = tempfile::tempdir().unwrap();
    let service = open(&directory).await;
    apply(&service, &next()).await;
    let newcomer = Tenant::new("newcomer").unwrap();
    let first = event(&mut Dice(4), 1);
    let scored = service
        .score_event(&newcomer, first, Some(View::Basic))
        .await
        .unwrap();
    let scores = scored.profile.unwrap().scores;
    assert!(scores.iter().any(|score| score.name == "merit"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_model_is_applied_to_all_tenants_or_to_the_one_that_has_its_own() {
    let directory = tempfile::tempdir().unwrap();
    let shared = open(&directory).await;
    let refused = shared
        .deployment()
        .apply_model(Some(&tenant()), model(&next()), ApplyOptions::default())
        .await;
    assert_eq!(refused, Err(RolloutError::TenantShares));

    let directory = tempfile::tempdir().unwrap();
    let store = Embedded::open(directory.path()).unwrap();
    let (shop, club) = (Tenant::new("shop").unwrap(), Tenant::new("club").unwrap());
    let models = [shop.clone(), club.clone()].map(|tenant| (tenant, model(MODEL)));
    let service = serve_with(store, Models::ByTenant(models.into())).await;
    let refused = service
        .deployment()
        .apply_model(None, model(&next()), ApplyOptions::default())
        .await;
    assert_eq!(refused, Err(RolloutError::TenantMissing));
    let refused = service
        .deployment()
        .apply_model(Some(&tenant()), model(&next()), ApplyOptions::default())
        .await;
    assert!(matches!(refused, Err(RolloutError::UnknownTenant { .. })));
    let applied = service
        .deployment()
        .apply_model(Some(&shop), model(&next()), ApplyOptions::default())
        .await;
    assert!(applied.unwrap().is_new);
    let latest = |models: bellwether::rollout::TenantModels| models.latest.fingerprint();
    let of_shop = latest(service.deployment().models(&shop).await.unwrap());
    let of_club = latest(service.deployment().models(&club).await.unwrap());
    assert_eq!(of_shop, model(&next()).fingerprint());
    assert_eq!(of_club, model(MODEL).fingerprint());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_comparison_foretells_what_the_model_changes_and_changes_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let service = open(&directory).await;
    stream(&service, &events(5)).await;
    let instant = at(100 * DAY);
    let before = everybody(&service, View::Basic, instant).await;
    let (progress, mut steps) = mpsc::channel(8);
    let comparison = ModelComparison {
        old: None,
        new: model(&next()),
        movers: 3,
        as_of: None,
    };
    let report = service
        .compare_models(&tenant(), comparison, progress)
        .await
        .unwrap();
    let mut last = 0;
    while let Some(step) = steps.recv().await {
        assert!(step.evaluated > last && step.evaluated <= step.total);
        last = step.evaluated;
    }
    assert_eq!(last, report.profiles);
    assert!(is_answered_by(&service, MODEL).await);
    assert_eq!(everybody(&service, View::Basic, instant).await, before);

    apply(&service, &next()).await;
    settled(&service, &next()).await;
    let after = everybody(&service, View::Basic, instant).await;
    assert_eq!(report.at, instant);
    assert_eq!(report.profiles, after.len() as u64);
    let points = |profile: &Profile, score: &str| {
        let found = profile.scores.iter().find(|found| found.name == score);
        found.map_or(0.0, |score| score.points)
    };
    for moves in &report.scores {
        let pairs = before.iter().zip(&after);
        let pairs: Vec<(f64, f64)> = pairs
            .map(|(old, new)| (points(old, &moves.score), points(new, &moves.score)))
            .collect();
        let count = |is: fn(f64, f64) -> bool| {
            let counted = pairs.iter().filter(|(old, new)| is(*old, *new));
            counted.count() as u64
        };
        let more = |old: f64, new: f64| new > old + 1e-9 * old.max(new);
        let fewer = |old: f64, new: f64| new < old - 1e-9 * old.max(new);
        assert_eq!(moves.rising, count(more), "{}", moves.score);
        assert_eq!(moves.falling, count(fewer), "{}", moves.score);
        let widest = pairs.iter().map(|(old, new)| (new - old).abs());
        let widest = widest.fold(0.0, f64::max);
        if let Some(first) = moves.movers.first() {
            assert!(((first.after - first.before).abs() - widest).abs() <= 1e-9 * widest);
        }
        assert!(moves.movers.len() <= 3);
    }
    let mut flows: BTreeMap<(Option<Name>, Option<Name>), u64> = BTreeMap::new();
    for (old, new) in before.iter().zip(&after) {
        let flow = (old.stage.clone(), new.stage.clone());
        *flows.entry(flow).or_default() += 1;
    }
    for flow in &report.flows {
        let expected = flows.remove(&(flow.from.clone(), flow.to.clone()));
        assert_eq!(expected, Some(flow.profiles), "{flow:?}");
    }
    assert!(flows.is_empty());
    for segment in &report.segments {
        let members = |profiles: &[Profile]| {
            let has = |profile: &&Profile| belongs(profile, &segment.segment);
            profiles.iter().filter(has).count() as u64
        };
        assert_eq!(segment.before, members(&before), "{segment:?}");
        assert_eq!(segment.after, members(&after), "{segment:?}");
        let moved = segment.before + segment.entering;
        assert_eq!(moved, segment.after + segment.leaving, "{segment:?}");
    }
    assert!(!report.changes.is_empty());
}

/// A service that follows a model file.
async fn following<S: Store>(file: &std::path::Path, store: S) -> (Service<S>, Reload) {
    let models = Models::load(Some(file)).unwrap();
    let files = ModelFiles::new(file, &models);
    let service = serve_with(store, models).await;
    let reload = Reload::default();
    service.deployment().follow_files(files, reload.clone());
    (service, reload)
}

type Reload = std::sync::Arc<tokio::sync::Notify>;

fn latest(models: &bellwether::rollout::TenantModels) -> &Model {
    &models.latest
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_changed_file_is_applied_and_a_wrong_one_refused() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("model.toml");
    std::fs::write(&file, MODEL).unwrap();
    let data = tempfile::tempdir().unwrap();
    let store = Embedded::open(data.path()).unwrap();
    let (service, reload) = following(&file, store).await;
    let is_latest = async |source: &str| {
        let models = service.deployment().models(&tenant()).await.unwrap();
        latest(&models).fingerprint() == model(source).fingerprint()
    };
    let next = next();
    std::fs::write(&file, &next).unwrap();
    reload.notify_one();
    until("the changed file is applied", || is_latest(&next)).await;

    // Somebody applies another one by hand; the file, unchanged, does not take it back.
    apply(&service, MODEL).await;
    for wrong in [
        "nonsense",
        "[scores.interest]\nhalf_life = \"1 fortnight\"\n",
    ] {
        std::fs::write(&file, wrong).unwrap();
        reload.notify_one();
    }
    std::fs::remove_file(&file).unwrap();
    reload.notify_one();
    let third = MODEL.replace("interest = 3", "interest = 7");
    std::fs::write(&file, &third).unwrap();
    reload.notify_one();
    until("the good file is applied", || is_latest(&third)).await;
    service.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_another_server_has_taken_in_takes_nothing_back() {
    let directory = tempfile::tempdir().unwrap();
    let places = ["early", "late"].map(|name| directory.path().join(name));
    let write = |place: &std::path::Path, tenant: &str, text: &str| {
        std::fs::create_dir_all(place).unwrap();
        std::fs::write(place.join(format!("{tenant}.toml")), text).unwrap();
    };
    let [early, late] = &places;
    for place in [early, late] {
        write(place, "shop", MODEL);
    }
    // Two followers of two copies, as two servers see one ConfigMap at different times.
    let data = tempfile::tempdir().unwrap();
    let store = Failing {
        others: 1,
        ..Failing::well(Embedded::open(data.path()).unwrap())
    };
    let (service, of_early) = following(early, store).await;
    let models = Models::load(Some(late)).unwrap();
    let of_late = Reload::default();
    service
        .deployment()
        .follow_files(ModelFiles::new(late, &models), of_late.clone());
    let (next, third) = (next(), MODEL.replace("interest = 3", "interest = 7"));
    let (shop, newcomer) = (Tenant::new("shop").unwrap(), Tenant::new("zoo").unwrap());
    let is_latest = async |source: &str| {
        let models = service.deployment().models(&shop).await.unwrap();
        latest(&models).fingerprint() == model(source).fingerprint()
    };

    write(early, "shop", &next);
    of_early.notify_one();
    until("the changed file is applied", || is_latest(&next)).await;
    let applied = service
        .deployment()
        .apply_model(Some(&shop), model(&third), ApplyOptions::default())
        .await;
    assert!(applied.unwrap().is_new);
    write(late, "shop", &next);
    // Files are looked at in their order, so this one is known after the other was seen.
    write(late, "zoo", MODEL);
    of_late.notify_one();
    let is_known = async || service.deployment().models(&newcomer).await.is_ok();
    until("the new tenant is known", is_known).await;
    assert!(is_latest(&third).await, "the late file has taken it back");
    let fourth = MODEL.replace("interest = 3", "interest = 9");
    write(late, "shop", &fourth);
    of_late.notify_one();
    until("the next change is applied", || is_latest(&fourth)).await;
    service.finish().await;
}

/// A model that gives so many points for a visit.
fn giving(points: usize) -> Arc<Model> {
    model(&MODEL.replace("interest = 3", &format!("interest = {points}")))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_those_who_expect_the_same_revision_one_applies_its_model() {
    let directory = tempfile::tempdir().unwrap();
    let service = open(&directory).await;
    let deployment = service.deployment();
    let revision = deployment.models(&tenant()).await.unwrap().revision;
    let expecting = |revision| ApplyOptions {
        expected_revision: Some(revision),
        ..ApplyOptions::default()
    };
    let applied = (10..18).map(|points| {
        let options = expecting(revision);
        deployment.apply_model(None, giving(points), options)
    });
    let applied = futures_util::future::join_all(applied).await;
    let first = applied.iter().position(Result::is_ok).unwrap();
    let latest = applied[first].clone().unwrap().revision;
    assert!(latest > revision);
    let late = RolloutError::RevisionChanged {
        expected: revision,
        revision: latest,
    };
    for (number, applied) in applied.into_iter().enumerate() {
        if number != first {
            assert_eq!(applied, Err(late.clone()));
        }
    }
    // Who was not answered may send the same again.
    let again = deployment.apply_model(None, giving(10 + first), expecting(revision));
    let again = again.await.unwrap();
    assert_eq!((again.revision, again.is_new), (latest, false));
    let next = deployment.apply_model(None, giving(20), expecting(latest));
    assert!(next.await.unwrap().is_new);
}

#[tokio::test]
async fn a_model_that_is_only_validated_is_not_applied() {
    let directory = tempfile::tempdir().unwrap();
    let service = open(&directory).await;
    let deployment = service.deployment();
    let before = deployment.models(&tenant()).await.unwrap();
    let validating = |expected_revision| ApplyOptions {
        expected_revision,
        validate_only: true,
    };
    for (source, is_new) in [(giving(10), true), (model(MODEL), false)] {
        let validated = deployment.apply_model(None, source, validating(None)).await;
        let validated = validated.unwrap();
        assert_eq!(
            (validated.revision, validated.is_new),
            (before.revision, is_new)
        );
        assert_eq!(validated.waiting_tenants, None);
    }
    let refused = deployment.apply_model(None, giving(10), validating(Some(7)));
    let refused = refused.await.unwrap_err();
    assert!(matches!(refused, RolloutError::RevisionChanged { .. }));
    let tenant = tenant();
    let refused = deployment.apply_model(Some(&tenant), giving(10), validating(None));
    assert_eq!(refused.await, Err(RolloutError::TenantShares));
    let after = deployment.models(&tenant).await.unwrap();
    assert_eq!(after.revision, before.revision);
    assert_eq!(after.latest.fingerprint(), before.latest.fingerprint());
}

#[tokio::test]
async fn a_start_gives_up_when_others_publish_without_end() {
    let directory = tempfile::tempdir().unwrap();
    let store = Failing {
        refuses_publications: true,
        ..Failing::well(Embedded::open(directory.path()).unwrap())
    };
    let opened = open_with(store, Models::Shared(model(MODEL))).await;
    let error = opened.err();
    assert!(
        matches!(
            error,
            Some(ServiceError::Rollout(RolloutError::ModelsChanging(_)))
        ),
        "{error:?}"
    );
}
