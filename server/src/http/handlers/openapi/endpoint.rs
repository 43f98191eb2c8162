//! The description of one method of one path, and how it becomes part of the document.

use serde_json::Value;
use utoipa::openapi::{
    Content, ContentBuilder, Header, HeaderBuilder, HttpMethod, KnownFormat, Object, ObjectBuilder, Paths,
    Ref, Required, Response, ResponseBuilder, SchemaFormat, Type,
    path::{Operation, OperationBuilder, Parameter, ParameterBuilder, ParameterIn},
    request_body::{RequestBody, RequestBodyBuilder},
};

use crate::error::ErrorCode::{
    self, Internal, InvalidArgument, MethodNotAllowed, NotFound, Unauthenticated, Unavailable,
};

/// The groups (OpenAPI tags) of the document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Group {
    Inference,
    Models,
    Feedback,
    Server,
    Repository,
    V1,
    Documentation,
}

impl Group {
    pub(super) const ALL: [Self; 7] = [
        Self::Inference,
        Self::Models,
        Self::Feedback,
        Self::Server,
        Self::Repository,
        Self::V1,
        Self::Documentation,
    ];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Inference => "Inference",
            Self::Models => "Models",
            Self::Feedback => "Feedback",
            Self::Server => "Server",
            Self::Repository => "Repository",
            Self::V1 => "V1",
            Self::Documentation => "Documentation",
        }
    }

    pub(super) const fn description(self) -> &'static str {
        match self {
            Self::Inference => "Inference requests to a model.",
            Self::Models => "The models, their inputs and outputs, configuration and statistics.",
            Self::Feedback => {
                "Corrections: pictures with their right labels. Needs a server with `--feedback`."
            }
            Self::Server => "Health, metadata and metrics.",
            Self::Repository => "The index of models and versions, and loading and unloading of models.",
            Self::V1 => "The V1 protocol of KServe and TensorFlow Serving.",
            Self::Documentation => "This description.",
        }
    }
}

/// The body of a response: its media type, the name of its schema, and an example.
type Body = (&'static str, &'static str, Option<Value>);

/// One method of one path, or of two paths: without a version and with one.
pub(super) struct Endpoint {
    method: HttpMethod,
    paths: Vec<&'static str>,
    group: Group,
    id: &'static str,
    summary: &'static str,
    details: &'static str,
    /// Optional headers and query parameters.
    optional: Vec<Parameter>,
    /// Whether path parameters have examples. They have none if trying the example would do harm.
    has_examples: bool,
    body: Option<RequestBody>,
    response: Option<Response>,
    /// The HTTP status of success.
    success: &'static str,
    faults: Vec<ErrorCode>,
}

impl Endpoint {
    pub(super) fn get(group: Group, path: &'static str, id: &'static str, summary: &'static str) -> Self {
        Self::new(HttpMethod::Get, group, path, id, summary)
    }

    pub(super) fn post(group: Group, path: &'static str, id: &'static str, summary: &'static str) -> Self {
        Self::new(HttpMethod::Post, group, path, id, summary)
    }

    fn new(
        method: HttpMethod,
        group: Group,
        path: &'static str,
        id: &'static str,
        summary: &'static str,
    ) -> Self {
        Self {
            method,
            paths: vec![path],
            group,
            id,
            summary,
            details: "",
            optional: Vec::new(),
            has_examples: true,
            body: None,
            response: None,
            success: "200",
            // Every path refuses some methods, and an internal error can happen on any path.
            faults: vec![MethodNotAllowed, Internal],
        }
    }

    /// Adds details to the summary.
    pub(super) fn details(mut self, details: &'static str) -> Self {
        self.details = details;
        self
    }

    /// Adds the path with a version.
    pub(super) fn or_version(mut self, path: &'static str) -> Self {
        self.paths.push(path);
        self
    }

    /// Adds the error of a path that may ask for a token.
    pub(super) fn guarded(self) -> Self {
        self.fails(&[Unauthenticated])
    }

    /// Adds the errors of paths that name a model.
    pub(super) fn of_a_model(self) -> Self {
        self.fails(&[InvalidArgument, NotFound, Unavailable])
    }

    /// Omits the examples of path parameters, for a method that does harm, such as unloading a model.
    pub(super) fn without_examples(mut self) -> Self {
        self.has_examples = false;
        self
    }

    pub(super) fn fails(mut self, faults: &[ErrorCode]) -> Self {
        self.faults.extend(faults);
        self
    }

    pub(super) fn header(mut self, name: &str, description: &str, schema: Object) -> Self {
        self.optional.push(optional(ParameterIn::Header, name, description, schema));
        self
    }

    /// Adds a query parameter.
    pub(super) fn query(mut self, name: &str, description: &str, schema: Object) -> Self {
        self.optional.push(optional(ParameterIn::Query, name, description, schema));
        self
    }

    /// Adds a JSON request body, with named examples.
    pub(super) fn takes(
        mut self,
        schema: &str,
        required: bool,
        examples: impl IntoIterator<Item = (&'static str, Value)>,
    ) -> Self {
        let mut content = Content::new(Some(Ref::from_schema_name(schema)));
        content.examples = examples
            .into_iter()
            .map(|(name, value)| {
                let mut example = utoipa::openapi::example::Example::new();
                example.value = Some(value);
                (name.to_owned(), example.into())
            })
            .collect();
        let required = if required { Required::True } else { Required::False };
        let body = RequestBodyBuilder::new().content("application/json", content).required(Some(required));
        self.body = Some(body.build());
        self
    }

    /// Also accepts a binary request body.
    pub(super) fn or_takes_bytes(mut self, media_type: &str) -> Self {
        if let Some(body) = &mut self.body {
            body.content.insert(media_type.to_owned(), bytes().into());
        }
        self
    }

    /// Responds with 201 instead of 200.
    pub(super) fn creates(mut self) -> Self {
        self.success = "201";
        self
    }

    /// Responds with JSON.
    pub(super) fn gives(mut self, schema: &'static str, example: Value) -> Self {
        self.response = Some(make_response("Success.", Some(("application/json", schema, Some(example)))));
        self
    }

    /// Responds with text.
    pub(super) fn gives_text(mut self, media_type: &str) -> Self {
        let text = ContentBuilder::new().schema(Some(Object::with_type(Type::String))).build();
        let mut success = make_response("Success.", None);
        success.content.insert(media_type.to_owned(), text.into());
        self.response = Some(success);
        self
    }

    /// Also responds with another type of text.
    pub(super) fn or_gives_text(mut self, media_type: &str) -> Self {
        let text = ContentBuilder::new().schema(Some(Object::with_type(Type::String))).build();
        if let Some(response) = &mut self.response {
            response.content.insert(media_type.to_owned(), text.into());
        }
        self
    }

    /// Also responds with bytes and this header.
    pub(super) fn or_gives_bytes(mut self, media_type: &str, name: &str, description: &str) -> Self {
        if let Some(response) = &mut self.response {
            response.content.insert(media_type.to_owned(), bytes().into());
            response.headers.insert(name.to_owned(), header(description).into());
        }
        self
    }

    /// Adds the method to the document. A path with GET gets HEAD too.
    pub(super) fn add_to(self, paths: &mut Paths) {
        for (index, path) in self.paths.iter().enumerate() {
            // The first path is that of the newest version.
            let (id, summary) = match index {
                0 => (self.id.to_owned(), self.summary.to_owned()),
                _ => (format!("{}_version", self.id), format!("{}, of one version", self.summary)),
            };
            let operation = self.operation(path, &id, &summary);
            if matches!(self.method, HttpMethod::Get) {
                let mut head = operation.clone();
                head.operation_id = Some(format!("{id}_head"));
                for response in head.responses.responses.values_mut() {
                    *response = make_response("As for GET, without the body.", None).into();
                }
                paths.add_path_operation(path, vec![HttpMethod::Head], head);
            }
            paths.add_path_operation(path, vec![self.method.clone()], operation);
        }
    }

    fn operation(&self, path: &str, id: &str, summary: &str) -> Operation {
        let mut operation = OperationBuilder::new()
            .tag(self.group.name())
            .operation_id(Some(id))
            .summary(Some(summary))
            .parameters(Some(path_parameters(path, self.has_examples).chain(self.optional.iter().cloned())))
            .request_body(self.body.clone());
        if !self.details.is_empty() {
            operation = operation.description(Some(self.details));
        }
        if let Some(response) = &self.response {
            operation = operation.response(self.success, response.clone());
        }
        for fault in &self.faults {
            operation = operation.response(fault.http().to_string(), Ref::from_response_name(fault.label()));
        }
        operation.build()
    }
}

/// The content of a body that is bytes.
fn bytes() -> Content {
    let binary = SchemaFormat::KnownFormat(KnownFormat::Binary);
    let schema = ObjectBuilder::new().schema_type(Type::String).format(Some(binary)).build();
    ContentBuilder::new().schema(Some(schema)).build()
}

fn optional(place: ParameterIn, name: &str, description: &str, schema: Object) -> Parameter {
    let parameter = ParameterBuilder::new().name(name).parameter_in(place);
    parameter.required(Required::False).description(Some(description)).schema(Some(schema)).build()
}

/// Returns the parameters in a path: its parts in braces.
fn path_parameters(path: &str, examples: bool) -> impl Iterator<Item = Parameter> {
    path.split('{').skip(1).filter_map(|part| part.split_once('}')).map(move |(name, _)| {
        let (description, example) = match name {
            "model" => ("Name of the model.", "digits"),
            "file" => ("Name of the file.", "app.js"),
            "part" => ("Name of the part.", "start.js"),
            _ => ("Version of the model.", "1"),
        };
        let schema = ObjectBuilder::new().schema_type(Type::String).min_length(Some(1));
        ParameterBuilder::new()
            .name(name)
            .parameter_in(ParameterIn::Path)
            .required(Required::True)
            .description(Some(description))
            .schema(Some(schema))
            .example(examples.then(|| example.into()))
            .build()
    })
}

/// Makes a response with the header that every response has.
pub(super) fn make_response(description: &str, body: Option<Body>) -> Response {
    let mut response = ResponseBuilder::new()
        .description(description)
        .header("X-Request-Id", header("The request's id, or one that the server made."));
    if let Some((media_type, schema, example)) = body {
        let content = ContentBuilder::new().schema(Some(Ref::from_schema_name(schema))).example(example);
        response = response.content(media_type, content.build());
    }
    response.build()
}

pub(super) fn header(description: &str) -> Header {
    HeaderBuilder::new().schema(Some(Object::with_type(Type::String))).description(Some(description)).build()
}
