//! The Open Inference Protocol's service.

use super::gate::Services;
use super::loading;
use super::repository::LoadedModel;
use super::streams::{Reply, StreamServer};
use super::{jobs, status};
use crate::engine::declared::{Dimension, Port};
use crate::tensor::ElementType;
use crate::wire::inference::grpc_inference_service_server::GrpcInferenceService;
use crate::wire::inference::model_metadata_response::TensorMetadata;
use crate::wire::inference::repository_index_response::ModelIndex;
use crate::wire::inference::*;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};

/// What ONNX models are called in the protocol.
const PLATFORM: &str = "onnx_onnxv1";

/// Replies that wait for the connection; beyond these, jobs keep their place in the stream.
const REPLIES_WAITING: usize = 8;

impl Services {
    fn is_stopping(&self) -> bool {
        *self.stopping.borrow()
    }

    pub(super) fn model(&self, name: &str, version: &str) -> Result<Arc<LoadedModel>, Status> {
        jobs::find_model(&self.repository, name, version)
    }
}

#[tonic::async_trait]
impl GrpcInferenceService for Services {
    async fn server_live(
        &self,
        _: Request<ServerLiveRequest>,
    ) -> Result<Response<ServerLiveResponse>, Status> {
        Ok(Response::new(ServerLiveResponse { live: true }))
    }

    async fn server_ready(
        &self,
        _: Request<ServerReadyRequest>,
    ) -> Result<Response<ServerReadyResponse>, Status> {
        Ok(Response::new(ServerReadyResponse { ready: !self.is_stopping() }))
    }

    async fn model_ready(
        &self,
        request: Request<ModelReadyRequest>,
    ) -> Result<Response<ModelReadyResponse>, Status> {
        let request = request.into_inner();
        let ready = self.model(&request.name, &request.version).is_ok() && !self.is_stopping();
        Ok(Response::new(ModelReadyResponse { ready }))
    }

    async fn server_metadata(
        &self,
        _: Request<ServerMetadataRequest>,
    ) -> Result<Response<ServerMetadataResponse>, Status> {
        let extensions = ["model_repository", "model_configuration", "statistics", "parameters"];
        Ok(Response::new(ServerMetadataResponse {
            name: "cutpoint".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            extensions: extensions.map(str::to_owned).to_vec(),
        }))
    }

    async fn model_metadata(
        &self,
        request: Request<ModelMetadataRequest>,
    ) -> Result<Response<ModelMetadataResponse>, Status> {
        let request = request.into_inner();
        let model = self.model(&request.name, &request.version)?;
        let describe = |port: &Port| TensorMetadata {
            name: port.name.clone(),
            datatype: element_type(port).protocol_name().to_owned(),
            shape: dims(port),
        };
        Ok(Response::new(ModelMetadataResponse {
            name: model.name.to_owned(),
            versions: vec!["1".to_owned()],
            platform: PLATFORM.to_owned(),
            inputs: model.declared.inputs.iter().map(describe).collect(),
            outputs: model.declared.outputs.iter().map(describe).collect(),
        }))
    }

    async fn model_infer(
        &self,
        request: Request<ModelInferRequest>,
    ) -> Result<Response<ModelInferResponse>, Status> {
        let parsed = jobs::parse(request.into_inner(), Instant::now())?;
        if parsed.part.is_some() {
            return Err(Status::invalid_argument("a job in parts needs a stream"));
        }
        let job = jobs::job(&self.repository, &parsed.reply, parsed.tensors, parsed.arrived)?;
        if self.is_stopping() {
            return Err(status::stopping());
        }
        let room = self.executors.room_now(&job);
        let room = room.ok_or_else(|| Status::resource_exhausted("too many jobs wait"))?;
        let computed = status::answer(self.executors.submit(job, room)).await?;
        Ok(Response::new(jobs::reply(parsed.reply, computed)))
    }

    type ModelStreamInferStream = ReceiverStream<Reply>;

    async fn model_stream_infer(
        &self,
        request: Request<Streaming<ModelInferRequest>>,
    ) -> Result<Response<Self::ModelStreamInferStream>, Status> {
        let (replies, receiver) = mpsc::channel(REPLIES_WAITING);
        let stream = StreamServer::new(self.repository.clone(), self.executors.clone(), replies);
        tokio::spawn(stream.run(request.into_inner(), self.stopping.clone()));
        Ok(Response::new(ReceiverStream::new(receiver)))
    }

    async fn model_config(
        &self,
        request: Request<ModelConfigRequest>,
    ) -> Result<Response<ModelConfigResponse>, Status> {
        let request = request.into_inner();
        let model = self.model(&request.name, &request.version)?;
        let parts = |port: &Port| (port.name.clone(), data_type(port).into(), dims(port));
        let input = |(name, data_type, dims)| ModelInput { name, data_type, dims };
        let output = |(name, data_type, dims)| ModelOutput { name, data_type, dims };
        let config = ModelConfig {
            name: model.name.to_owned(),
            platform: PLATFORM.to_owned(),
            max_batch_size: 0,
            input: model.declared.inputs.iter().map(parts).map(input).collect(),
            output: model.declared.outputs.iter().map(parts).map(output).collect(),
            backend: "cutpoint".to_owned(),
        };
        Ok(Response::new(ModelConfigResponse { config: Some(config) }))
    }

    async fn model_statistics(
        &self,
        request: Request<ModelStatisticsRequest>,
    ) -> Result<Response<ModelStatisticsResponse>, Status> {
        let request = request.into_inner();
        let models = match request.name.as_str() {
            "" => self.repository.all(),
            name => vec![self.model(name, &request.version)?],
        };
        let model_stats = models.iter().map(|model| statistics(model)).collect();
        Ok(Response::new(ModelStatisticsResponse { model_stats }))
    }

    async fn repository_index(
        &self,
        _: Request<RepositoryIndexRequest>,
    ) -> Result<Response<RepositoryIndexResponse>, Status> {
        let index = |model: Arc<LoadedModel>| ModelIndex {
            name: model.name.to_owned(),
            version: "1".to_owned(),
            state: "READY".to_owned(),
            reason: String::new(),
        };
        let models = self.repository.all().into_iter().map(index).collect();
        Ok(Response::new(RepositoryIndexResponse { models }))
    }

    async fn repository_model_load(
        &self,
        request: Request<RepositoryModelLoadRequest>,
    ) -> Result<Response<RepositoryModelLoadResponse>, Status> {
        if self.is_stopping() {
            return Err(status::stopping());
        }
        let request = request.into_inner();
        let repository = self.repository.clone();
        let load = move || loading::load(&repository, request);
        // A panic here is a fault of ours, not of the connection.
        let loaded = tokio::task::spawn_blocking(load).await;
        loaded.map_err(|_| Status::internal("loading has panicked"))??;
        Ok(Response::new(RepositoryModelLoadResponse {}))
    }

    async fn repository_model_unload(
        &self,
        request: Request<RepositoryModelUnloadRequest>,
    ) -> Result<Response<RepositoryModelUnloadResponse>, Status> {
        self.repository.unload(&request.into_inner().model_name)?;
        Ok(Response::new(RepositoryModelUnloadResponse {}))
    }
}

/// Models that leave an element type open mean 32-bit floating point nearly always.
fn element_type(port: &Port) -> ElementType {
    port.element_type.unwrap_or(ElementType::F32)
}

fn dims(port: &Port) -> Vec<i64> {
    let size = |dim: &Dimension| match dim {
        Dimension::Fixed(size) => i64::try_from(*size).unwrap_or(-1),
        Dimension::Open(_) => -1,
    };
    port.shape.iter().flatten().map(size).collect()
}

fn data_type(port: &Port) -> DataType {
    let name = format!("TYPE_{}", element_type(port).protocol_name());
    DataType::from_str_name(&name).expect("the protocol has every element type")
}

fn statistics(model: &LoadedModel) -> ModelStatistics {
    let counted = *model.statistics();
    let duration = |count: u64, time: Duration| {
        let ns = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        Some(StatisticDuration { count, ns })
    };
    let (successes, failures) = (counted.successes, counted.failures);
    ModelStatistics {
        name: model.name.to_owned(),
        version: "1".to_owned(),
        last_inference: counted.last.map_or(0, epoch_milliseconds),
        inference_count: successes,
        execution_count: successes,
        inference_stats: Some(InferStatistics {
            success: duration(successes, counted.success),
            fail: duration(failures, counted.failure),
            queue: duration(successes, counted.queue),
            compute_input: duration(successes, Duration::ZERO),
            compute_infer: duration(successes, counted.compute),
            compute_output: duration(successes, Duration::ZERO),
        }),
    }
}

#[expect(clippy::disallowed_methods, reason = "the protocol asks for the time of day")]
fn epoch_milliseconds(moment: Instant) -> u64 {
    let then = std::time::SystemTime::now().checked_sub(moment.elapsed());
    let since = then.and_then(|t| t.duration_since(std::time::UNIX_EPOCH).ok());
    u64::try_from(since.unwrap_or_default().as_millis()).unwrap_or(u64::MAX)
}
