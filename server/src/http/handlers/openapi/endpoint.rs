//! One method of one path, and how it is written in the document.

use serde_json::Value;
use utoipa::openapi::{
    Content, ContentBuilder, Header, HeaderBuilder, HttpMethod, Object, ObjectBuilder, Paths, Ref, Required,
    Response, ResponseBuilder, Type,
    path::{Operation, OperationBuilder, Parameter, ParameterBuilder, ParameterIn},
    request_body::{RequestBody, RequestBodyBuilder},
};

use crate::error::ErrorCode::{self, Internal, InvalidArgument, MethodNotAllowed, NotFound, Unavailable};

/// Headings of the document.
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
            Self::Inference => "Asking a model.",
            Self::Models => "What there is, what it takes and gives, and what it has done.",
            Self::Feedback => {
                "Corrections of what a model answered, where `--feedback` names a place for them."
            }
            Self::Server => "Health, metadata and metrics.",
            Self::Repository => "Which models are there, and loading and unloading them.",
            Self::V1 => "The protocol of KServe's first servers and of TensorFlow Serving.",
            Self::Documentation => "This description.",
        }
    }
}

/// The body of an answer: its type, the name of its schema, and an example.
type Body = (&'static str, &'static str, Option<Value>);

/// One method of one path, or of two: with a version in it, and without.
pub(super) struct Endpoint {
    method: HttpMethod,
    paths: Vec<&'static str>,
    group: Group,
    id: &'static str,
    summary: &'static str,
    details: &'static str,
    /// Headers, and what is in the query.
    optional: Vec<Parameter>,
    /// Whether its parameters have examples: not where trying one out would do harm.
    harmless: bool,
    body: Option<RequestBody>,
    answer: Option<Response>,
    /// The status of success.
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
            harmless: true,
            body: None,
            answer: None,
            success: "200",
            // No path takes every method, and a fault of the server can happen on any.
            faults: vec![MethodNotAllowed, Internal],
        }
    }

    /// More than the summary says.
    pub(super) fn details(mut self, details: &'static str) -> Self {
        self.details = details;
        self
    }

    /// Takes a version too, under this path.
    pub(super) fn or_version(mut self, path: &'static str) -> Self {
        self.paths.push(path);
        self
    }

    /// Looks for a model.
    pub(super) fn of_a_model(self) -> Self {
        self.fails(&[InvalidArgument, NotFound, Unavailable])
    }

    /// Takes something away, and only from whom it is told: its parameters have no examples.
    pub(super) fn by_name(mut self) -> Self {
        self.harmless = false;
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

    /// Takes this in its query.
    pub(super) fn query(mut self, name: &str, description: &str, schema: Object) -> Self {
        self.optional.push(optional(ParameterIn::Query, name, description, schema));
        self
    }

    /// Takes JSON, with examples by name.
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

    /// Takes bytes as well.
    pub(super) fn or_takes_bytes(mut self, media_type: &str) -> Self {
        if let Some(body) = &mut self.body {
            body.content.insert(media_type.to_owned(), Content::default().into());
        }
        self
    }

    /// Answers 201 instead of 200.
    pub(super) fn creates(mut self) -> Self {
        self.success = "201";
        self
    }

    /// Answers with JSON.
    pub(super) fn gives(mut self, schema: &'static str, example: Value) -> Self {
        self.answer = Some(answer("Success.", Some(("application/json", schema, Some(example)))));
        self
    }

    /// Answers 200 with a text.
    pub(super) fn gives_text(mut self, media_type: &str) -> Self {
        let text = ContentBuilder::new().schema(Some(Object::with_type(Type::String))).build();
        let mut success = answer("Success.", None);
        success.content.insert(media_type.to_owned(), text.into());
        self.answer = Some(success);
        self
    }

    /// Answers 200 with a text as well.
    pub(super) fn or_gives_text(mut self, media_type: &str) -> Self {
        let text = ContentBuilder::new().schema(Some(Object::with_type(Type::String))).build();
        if let Some(answer) = &mut self.answer {
            answer.content.insert(media_type.to_owned(), text.into());
        }
        self
    }

    /// Answers 200 with bytes as well, and this header.
    pub(super) fn or_gives_bytes(mut self, media_type: &str, name: &str, description: &str) -> Self {
        if let Some(answer) = &mut self.answer {
            answer.content.insert(media_type.to_owned(), Content::default().into());
            answer.headers.insert(name.to_owned(), header(description).into());
        }
        self
    }

    /// Writes it down. A path that takes GET takes HEAD too.
    pub(super) fn add_to(self, paths: &mut Paths) {
        for (index, path) in self.paths.iter().enumerate() {
            let id = if index == 0 { self.id.to_owned() } else { format!("{}_version", self.id) };
            let operation = self.operation(path, &id);
            if matches!(self.method, HttpMethod::Get) {
                let mut head = operation.clone();
                head.operation_id = Some(format!("{id}_head"));
                for response in head.responses.responses.values_mut() {
                    *response = answer("As to GET, without the body.", None).into();
                }
                paths.add_path_operation(path, vec![HttpMethod::Head], head);
            }
            paths.add_path_operation(path, vec![self.method.clone()], operation);
        }
    }

    fn operation(&self, path: &str, id: &str) -> Operation {
        let mut operation = OperationBuilder::new()
            .tag(self.group.name())
            .operation_id(Some(id))
            .summary(Some(self.summary))
            .parameters(Some(path_parameters(path, self.harmless).chain(self.optional.iter().cloned())))
            .request_body(self.body.clone());
        if !self.details.is_empty() {
            operation = operation.description(Some(self.details));
        }
        if let Some(answer) = &self.answer {
            operation = operation.response(self.success, answer.clone());
        }
        for fault in &self.faults {
            operation = operation.response(fault.http().to_string(), Ref::from_response_name(fault.label()));
        }
        operation.build()
    }
}

fn optional(place: ParameterIn, name: &str, description: &str, schema: Object) -> Parameter {
    let parameter = ParameterBuilder::new().name(name).parameter_in(place);
    parameter.required(Required::False).description(Some(description)).schema(Some(schema)).build()
}

/// The parts of a path in braces.
fn path_parameters(path: &str, examples: bool) -> impl Iterator<Item = Parameter> {
    path.split('{').skip(1).filter_map(|part| part.split_once('}')).map(move |(name, _)| {
        let (description, example) = match name {
            "model" => ("Name of the model.", "digits"),
            "file" => ("Name of the file.", "app.js"),
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

/// An answer with the header that every answer has.
pub(super) fn answer(description: &str, body: Option<Body>) -> Response {
    let mut answer = ResponseBuilder::new()
        .description(description)
        .header("X-Request-Id", header("The request's own id, or one that was made up."));
    if let Some((media_type, schema, example)) = body {
        let content = ContentBuilder::new().schema(Some(Ref::from_schema_name(schema))).example(example);
        answer = answer.content(media_type, content.build());
    }
    answer.build()
}

pub(super) fn header(description: &str) -> Header {
    HeaderBuilder::new().schema(Some(Object::with_type(Type::String))).description(Some(description)).build()
}
