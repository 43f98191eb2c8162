//! The service `grpc.health.v1`: `Check` tells whether the server is ready, and `Watch` streams each change of that.

use std::sync::Arc;

use futures_util::{Stream, StreamExt, stream::BoxStream};
use tonic::{Request, Response, Status, async_trait};
use tonic_health::pb::{
    HealthCheckRequest, HealthCheckResponse, health_check_response::ServingStatus, health_server,
};

use super::SERVICE;
use crate::inference::DataPlane;

/// Reports on the server as a whole (the empty name) and on the protocol's service. Both have the same status.
#[derive(Clone, Debug)]
pub struct Health {
    pub(super) data_plane: Arc<DataPlane>,
}

fn response(status: ServingStatus) -> HealthCheckResponse {
    HealthCheckResponse { status: status.into() }
}

fn status(ready: bool) -> ServingStatus {
    if ready { ServingStatus::Serving } else { ServingStatus::NotServing }
}

fn is_known(request: &HealthCheckRequest) -> bool {
    ["", SERVICE].contains(&request.service.as_str())
}

/// Streams the server's status and each change of it, until the server is draining.
fn changes(data_plane: Arc<DataPlane>) -> impl Stream<Item = Result<HealthCheckResponse, Status>> {
    data_plane.readiness().map(|ready| Ok(response(status(ready))))
}

#[async_trait]
impl health_server::Health for Health {
    type WatchStream = BoxStream<'static, Result<HealthCheckResponse, Status>>;

    async fn check(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<HealthCheckResponse>, Status> {
        let request = request.into_inner();
        if is_known(&request) {
            return Ok(Response::new(response(status(self.data_plane.is_ready()))));
        }
        let name: String = request.service.chars().take(64).collect();
        let name = oip::on_one_line(&name);
        Err(Status::not_found(format!("unknown service '{name}': there are '' and '{SERVICE}'")))
    }

    async fn watch(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        if !is_known(request.get_ref()) {
            // The specification requires this status and an open stream. The stream stays silent, since services are
            // never added.
            let unknown = futures_util::stream::iter([Ok(response(ServingStatus::ServiceUnknown))]);
            return Ok(Response::new(unknown.chain(futures_util::stream::pending()).boxed()));
        }
        Ok(Response::new(changes(Arc::clone(&self.data_plane)).boxed()))
    }
}
