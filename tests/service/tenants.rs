//! Tenants that there never were before: who may make one, and how many there may be.

use bellwether::{
    rollout::{self, Models, RolloutError},
    scoring::Tenant,
    service::{ProfileQuery, Service, ServiceError, Settings, View},
    store::embedded::Embedded,
};

use super::world::{DAY, Dice, MODEL, at, event, id, model, open_as, reading, settings};

fn named(name: &str) -> Tenant {
    Tenant::new(name).unwrap()
}

async fn serve(directory: &tempfile::TempDir, settings: Settings) -> Service<Embedded> {
    let store = Embedded::open(directory.path()).unwrap();
    let models = Models::Shared(model(MODEL));
    open_as(store, models, settings).await.unwrap()
}

async fn score(service: &Service<Embedded>, tenant: &str) -> Result<(), ServiceError> {
    let event = event(&mut Dice(1), 1);
    let scored = service.score_event(&named(tenant), event, None).await;
    scored.map(drop)
}

/// What is told of an unknown person of a tenant.
async fn default(service: &Service<Embedded>, tenant: &str) -> Result<bool, ServiceError> {
    let query = ProfileQuery {
        or_default: true,
        ..reading(View::Basic, None)
    };
    let read = service.profile(&named(tenant), &id(1_000), query).await;
    read.map(|profile| profile.exists)
}

async fn read(service: &Service<Embedded>, tenant: &str) -> ServiceError {
    let (tenant, unknown) = (named(tenant), id(1_000));
    let read = service.profile(&tenant, &unknown, reading(View::Basic, Some(at(100 * DAY))));
    read.await.unwrap_err()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn first_events_make_as_many_tenants_as_there_may_be() {
    let directory = tempfile::tempdir().unwrap();
    let few = Settings {
        rollout: rollout::Settings {
            max_tenants: 3,
            ..settings().rollout
        },
        ..settings()
    };
    let service = serve(&directory, few.clone()).await;
    // Reading makes none, however many names are asked for.
    for number in 0..10 {
        let error = read(&service, &format!("read-{number}")).await;
        assert!(matches!(error, ServiceError::UnknownProfile(_)), "{error}");
    }
    let names = ["", "a", "b", "c", "d", "e"];
    let scored = names.map(|name| score(&service, name));
    let results = futures_util::future::join_all(scored).await;
    assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 3);
    for (name, result) in names.iter().zip(&results) {
        let expected = match result {
            Ok(()) => Ok(()),
            Err(_) => Err(ServiceError::Rollout(RolloutError::TooManyTenants {
                tenant: named(name).to_string(),
                most: 3,
            })),
        };
        assert_eq!(*result, expected);
        assert_eq!(score(&service, name).await, expected);
    }
    service.finish().await;
    drop(service);
    // Those that are there are served, whatever the setting says.
    let fewer = Settings {
        rollout: rollout::Settings {
            max_tenants: 1,
            ..settings().rollout
        },
        ..few
    };
    let service = serve(&directory, fewer).await;
    for (name, result) in names.iter().zip(&results) {
        assert_eq!(score(&service, name).await.is_ok(), result.is_ok());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_callers_make_no_tenants_an_unknown_one_is_not_found() {
    let directory = tempfile::tempdir().unwrap();
    let service = serve(&directory, settings()).await;
    score(&service, "shop").await.unwrap();
    service.finish().await;
    drop(service);
    let closed = Settings {
        rollout: rollout::Settings {
            auto_create_tenants: false,
            ..settings().rollout
        },
        ..settings()
    };
    let service = serve(&directory, closed).await;
    // What is there, and the tenant of those who name none.
    for name in ["shop", ""] {
        score(&service, name).await.unwrap();
    }
    let unknown = ServiceError::Rollout(RolloutError::TenantNotMade {
        tenant: "club".to_owned(),
    });
    assert_eq!(score(&service, "club").await, Err(unknown.clone()));
    assert_eq!(read(&service, "club").await, unknown);
    assert_eq!(default(&service, "club").await, Err(unknown));
    assert_eq!(default(&service, "shop").await, Ok(false));
}
