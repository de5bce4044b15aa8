/// Generated client implementations.
pub mod cutpoint_client {
    #![allow(
        unused_variables,
        dead_code,
        missing_docs,
        clippy::wildcard_imports,
        clippy::let_unit_value
    )]
    use tonic::codegen::http::Uri;
    use tonic::codegen::*;
    #[derive(Debug, Clone)]
    pub struct CutpointClient<T> {
        inner: tonic::client::Grpc<T>,
    }
    impl<T> CutpointClient<T>
    where
        T: tonic::client::GrpcService<tonic::body::Body>,
        T::Error: Into<StdError>,
        T::ResponseBody: Body<Data = Bytes> + std::marker::Send + 'static,
        <T::ResponseBody as Body>::Error: Into<StdError> + std::marker::Send,
    {
        pub fn new(inner: T) -> Self {
            let inner = tonic::client::Grpc::new(inner);
            Self { inner }
        }
        pub fn with_origin(inner: T, origin: Uri) -> Self {
            let inner = tonic::client::Grpc::with_origin(inner, origin);
            Self { inner }
        }
        pub fn with_interceptor<F>(
            inner: T,
            interceptor: F,
        ) -> CutpointClient<InterceptedService<T, F>>
        where
            F: tonic::service::Interceptor,
            T::ResponseBody: Default,
            T: tonic::codegen::Service<
                    http::Request<tonic::body::Body>,
                    Response = http::Response<
                        <T as tonic::client::GrpcService<tonic::body::Body>>::ResponseBody,
                    >,
                >,
            <T as tonic::codegen::Service<http::Request<tonic::body::Body>>>::Error:
                Into<StdError> + std::marker::Send + std::marker::Sync,
        {
            CutpointClient::new(InterceptedService::new(inner, interceptor))
        }
        /// Compress requests with the given encoding.
        ///
        /// This requires the server to support it otherwise it might respond with an
        /// error.
        #[must_use]
        pub fn send_compressed(mut self, encoding: CompressionEncoding) -> Self {
            self.inner = self.inner.send_compressed(encoding);
            self
        }
        /// Enable decompressing responses.
        #[must_use]
        pub fn accept_compressed(mut self, encoding: CompressionEncoding) -> Self {
            self.inner = self.inner.accept_compressed(encoding);
            self
        }
        /// Limits the maximum size of a decoded message.
        ///
        /// Default: `4MB`
        #[must_use]
        pub fn max_decoding_message_size(mut self, limit: usize) -> Self {
            self.inner = self.inner.max_decoding_message_size(limit);
            self
        }
        /// Limits the maximum size of an encoded message.
        ///
        /// Default: `usize::MAX`
        #[must_use]
        pub fn max_encoding_message_size(mut self, limit: usize) -> Self {
            self.inner = self.inner.max_encoding_message_size(limit);
            self
        }
        /// The first call on a connection.
        pub async fn hello(
            &mut self,
            request: impl tonic::IntoRequest<super::HelloRequest>,
        ) -> std::result::Result<tonic::Response<super::HelloReply>, tonic::Status> {
            self.inner.ready().await.map_err(|e| {
                tonic::Status::unknown(format!("Service was not ready: {}", e.into()))
            })?;
            let codec = tonic_prost::ProstCodec::default();
            let path = http::uri::PathAndQuery::from_static("/cutpoint.v1.Cutpoint/Hello");
            let mut req = request.into_request();
            req.extensions_mut().insert(GrpcMethod::new("cutpoint.v1.Cutpoint", "Hello"));
            self.inner.unary(req, path, codec).await
        }
        /// Measures a model's layers on the server. Takes as long as the measurement takes.
        pub async fn profile(
            &mut self,
            request: impl tonic::IntoRequest<super::ProfileRequest>,
        ) -> std::result::Result<tonic::Response<super::ProfileReply>, tonic::Status> {
            self.inner.ready().await.map_err(|e| {
                tonic::Status::unknown(format!("Service was not ready: {}", e.into()))
            })?;
            let codec = tonic_prost::ProstCodec::default();
            let path = http::uri::PathAndQuery::from_static("/cutpoint.v1.Cutpoint/Profile");
            let mut req = request.into_request();
            req.extensions_mut().insert(GrpcMethod::new("cutpoint.v1.Cutpoint", "Profile"));
            self.inner.unary(req, path, codec).await
        }
        /// Measures how long the server takes to bring a tensor back from an encoding.
        pub async fn decode(
            &mut self,
            request: impl tonic::IntoRequest<super::DecodeRequest>,
        ) -> std::result::Result<tonic::Response<super::DecodeReply>, tonic::Status> {
            self.inner.ready().await.map_err(|e| {
                tonic::Status::unknown(format!("Service was not ready: {}", e.into()))
            })?;
            let codec = tonic_prost::ProstCodec::default();
            let path = http::uri::PathAndQuery::from_static("/cutpoint.v1.Cutpoint/Decode");
            let mut req = request.into_request();
            req.extensions_mut().insert(GrpcMethod::new("cutpoint.v1.Cutpoint", "Decode"));
            self.inner.unary(req, path, codec).await
        }
        /// Answers each message with one message, at once and in order.
        pub async fn probe(
            &mut self,
            request: impl tonic::IntoStreamingRequest<Message = super::ProbeRequest>,
        ) -> std::result::Result<
            tonic::Response<tonic::codec::Streaming<super::ProbeReply>>,
            tonic::Status,
        > {
            self.inner.ready().await.map_err(|e| {
                tonic::Status::unknown(format!("Service was not ready: {}", e.into()))
            })?;
            let codec = tonic_prost::ProstCodec::default();
            let path = http::uri::PathAndQuery::from_static("/cutpoint.v1.Cutpoint/Probe");
            let mut req = request.into_streaming_request();
            req.extensions_mut().insert(GrpcMethod::new("cutpoint.v1.Cutpoint", "Probe"));
            self.inner.streaming(req, path, codec).await
        }
    }
}
