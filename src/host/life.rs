//! When to end: on `plugin.GRPCController/Shutdown`, on SIGTERM, and when the parent is gone.

use std::convert::Infallible;
use std::future::Future;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::future::BoxFuture;
use rustix::process::Pid;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tonic::body::BoxBody;
use tonic::codegen::Service;
use tonic::server::{NamedService, UnaryService};

use super::messages::Empty;

/// How often the parent is looked at.
const PARENT_CHECK: Duration = Duration::from_millis(500);
/// How long requests under way may take after the end was announced.
const GRACE: Duration = Duration::from_millis(1500);

/// Why the process ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    NotYet,
    Asked,
    Terminated,
    ParentGone,
}

impl std::fmt::Display for End {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str(match self {
            Self::NotYet => "the server ended",
            Self::Asked => "asked by Grafana",
            Self::Terminated => "SIGTERM",
            Self::ParentGone => "Grafana is gone",
        })
    }
}

/// Watches for the end.
#[derive(Clone, Debug)]
pub(super) struct Life {
    end: Arc<watch::Sender<End>>,
}

impl Life {
    /// Starts watching; `parent` is the process that started this one.
    pub(super) fn watch(parent: Option<Pid>) -> Self {
        let life = Self {
            end: Arc::new(watch::Sender::new(End::NotYet)),
        };
        let watcher = life.clone();
        tokio::spawn(async move {
            let reason = tokio::select! {
                () = parent_gone(parent) => End::ParentGone,
                () = terminated() => End::Terminated,
            };
            watcher.end.send_replace(reason);
        });
        life
    }

    /// Resolves when the end has come.
    pub(super) fn ended(&self) -> impl Future<Output = ()> + Send + use<> {
        let mut end = self.end.subscribe();
        async move {
            // An error means that the sender is gone, which is an end too.
            let _gone = end.wait_for(|end| *end != End::NotYet).await.is_err();
        }
    }

    /// Resolves a moment after the end has come.
    pub(super) async fn overdue(&self) {
        self.ended().await;
        tokio::time::sleep(GRACE).await;
    }

    pub(super) fn reason(&self) -> End {
        *self.end.borrow()
    }

    /// The gRPC service through which Grafana says that it is done.
    pub(super) fn controller(&self) -> Controller {
        Controller { life: self.clone() }
    }
}

async fn parent_gone(parent: Option<Pid>) {
    let mut tick = tokio::time::interval(PARENT_CHECK);
    loop {
        tick.tick().await;
        if rustix::process::getppid() != parent {
            return;
        }
    }
}

async fn terminated() {
    // Ctrl-C reaches the whole process group: Grafana decides what it means for its plugins.
    let _ignored = signal(SignalKind::interrupt());
    match signal(SignalKind::terminate()) {
        Ok(mut terminate) => {
            terminate.recv().await;
        }
        Err(_) => std::future::pending().await,
    }
}

/// `plugin.GRPCController` of go-plugin's `grpc_controller.proto`: one call, `Shutdown(Empty) returns (Empty)`.
#[derive(Clone, Debug)]
pub(super) struct Controller {
    life: Life,
}

impl NamedService for Controller {
    const NAME: &'static str = "plugin.GRPCController";
}

impl UnaryService<Empty> for Controller {
    type Response = Empty;
    type Future = BoxFuture<'static, Result<tonic::Response<Empty>, tonic::Status>>;

    fn call(&mut self, _request: tonic::Request<Empty>) -> Self::Future {
        self.life.end.send_replace(End::Asked);
        Box::pin(async { Ok(tonic::Response::new(Empty {})) })
    }
}

impl Service<http::Request<BoxBody>> for Controller {
    type Response = http::Response<BoxBody>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<BoxBody>) -> Self::Future {
        let controller = self.clone();
        Box::pin(async move {
            if request.uri().path() != "/plugin.GRPCController/Shutdown" {
                return Ok(tonic::Status::unimplemented("no such call").into_http());
            }
            let codec = tonic::codec::ProstCodec::<Empty, Empty>::default();
            Ok(tonic::server::Grpc::new(codec).unary(controller, request).await)
        })
    }
}
