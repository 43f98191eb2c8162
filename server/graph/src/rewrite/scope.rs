//! What is known of tensors before a node of a graph runs: their element types, and which are constants.

use std::collections::{HashMap, HashSet};

use crate::proto::{GraphProto, NodeProto, TensorProto, TypeProto, ValueInfoProto, data_type, domain};

/// What is known of a tensor.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Known<'a> {
    /// Element type, if it is known.
    pub(super) element: Option<i32>,
    /// Value, if it is a constant of the file.
    pub(super) constant: Option<&'a TensorProto>,
}

impl Known<'_> {
    pub(super) fn of_type(element: Option<i32>) -> Self {
        Self { element, constant: None }
    }
}

/// The tensors of a graph, and those of the graphs around it.
#[derive(Debug, Default)]
pub(super) struct Scope<'a, 's> {
    known: HashMap<&'a str, Known<'a>>,
    around: Option<&'s Scope<'a, 's>>,
}

impl<'a, 's> Scope<'a, 's> {
    /// The tensors that exist before the first node of a graph runs, with those of the graphs around it. An initializer
    /// of an input is a constant only if a request cannot override it, which `has_defaults` says.
    pub(super) fn of_graph(graph: &'a GraphProto, around: Option<&'s Self>, has_defaults: bool) -> Self {
        let mut scope = Self { known: HashMap::new(), around };
        for info in graph.input.iter().chain(&graph.output).chain(&graph.value_info) {
            scope.learn(&info.name, Known::of_type(element(info)));
        }
        let inputs: HashSet<&str> = graph.input.iter().map(|input| input.name.as_str()).collect();
        for tensor in &graph.initializer {
            let is_default = has_defaults && inputs.contains(tensor.name.as_str());
            let constant = (!is_default).then_some(tensor);
            scope.learn(&tensor.name, Known { element: Some(tensor.data_type), constant });
        }
        scope
    }

    pub(super) fn learn(&mut self, name: &'a str, known: Known<'a>) {
        self.known.insert(name, known);
    }

    pub(super) fn of(&self, name: &str) -> Known<'a> {
        let here = self.known.get(name).copied();
        here.unwrap_or_else(|| self.around.map(|around| around.of(name)).unwrap_or_default())
    }

    pub(super) fn input(&self, node: &NodeProto, position: usize) -> Known<'a> {
        node.input.get(position).map(|name| self.of(name)).unwrap_or_default()
    }

    /// Records the outputs of a node. Those of subgraphs and functions are recorded elsewhere.
    pub(super) fn run(&mut self, node: &'a NodeProto) {
        let constant = self.constant(node);
        let elements = self.elements(node);
        for (position, name) in node.output.iter().enumerate().filter(|(_, name)| !name.is_empty()) {
            // If the type does not follow from the inputs, the type that the file declares remains.
            let element = elements.get(position).copied().flatten().or_else(|| self.of(name).element);
            self.learn(name, Known { element, constant: constant.filter(|_| position == 0) });
        }
    }

    fn constant(&self, node: &'a NodeProto) -> Option<&'a TensorProto> {
        match node.op_type.as_str() {
            "Constant" => node.attribute.iter().find(|attribute| attribute.name == "value")?.t.as_deref(),
            // The elements are those of the input. A cast may change their type; callers that use constants allow for
            // that.
            "Identity" | "Cast" | "Reshape" | "Squeeze" | "Unsqueeze" | "Flatten" => {
                self.input(node, 0).constant
            }
            _ => None,
        }
    }

    /// The element types of a node's outputs, where they follow from its inputs. A float type here means that the
    /// tensor certainly has no integers.
    fn elements(&self, node: &NodeProto) -> Vec<Option<i32>> {
        use data_type::{BOOL, FLOAT, INT32, INT64, STRING, UINT8};
        let of = |position| self.input(node, position).element;
        let number = |name: &str| {
            let attribute = node.attribute.iter().find(|attribute| attribute.name == name)?;
            i32::try_from(attribute.i).ok().filter(|element| *element != 0)
        };
        let tensor = |name: &str| {
            let attribute = node.attribute.iter().find(|attribute| attribute.name == name)?;
            attribute.t.as_deref().map(|tensor| tensor.data_type)
        };
        if !domain(&node.domain).is_empty() {
            return Vec::new();
        }
        let first = match node.op_type.as_str() {
            "Add" | "Sub" | "Mul" | "Div" | "Mod" | "Min" | "Max" | "Sum" | "Concat" => {
                (0..node.input.len()).find_map(of)
            }
            "Where" => of(1).or_else(|| of(2)),
            "Cast" => number("to"),
            "CastLike" | "DequantizeLinear" => of(1),
            "Constant" => return vec![constant_element(node)],
            "ConstantOfShape" => Some(tensor("value").unwrap_or(FLOAT)),
            "RandomNormal" | "RandomUniform" => Some(number("dtype").unwrap_or(FLOAT)),
            "RandomNormalLike" | "RandomUniformLike" | "EyeLike" | "Bernoulli" => {
                number("dtype").or_else(|| of(0))
            }
            "Multinomial" => Some(number("dtype").unwrap_or(INT32)),
            "OneHot" => of(2),
            "Shape" | "Size" | "NonZero" | "ArgMax" | "ArgMin" | "NonMaxSuppression" => Some(INT64),
            "TopK" | "MaxPool" => return vec![of(0), Some(INT64)],
            "Unique" => return vec![of(0), Some(INT64), Some(INT64), Some(INT64)],
            "Dropout" => return vec![of(0), Some(BOOL)],
            "Equal" | "Less" | "LessOrEqual" | "Greater" | "GreaterOrEqual" | "And" | "Or" | "Xor"
            | "Not" | "IsNaN" | "IsInf" => Some(BOOL),
            "DynamicQuantizeLinear" => return vec![Some(UINT8), Some(FLOAT), Some(UINT8)],
            "MatMulInteger" | "ConvInteger" => Some(INT32),
            "StringNormalizer" => Some(STRING),
            "TfIdfVectorizer" | "HannWindow" | "HammingWindow" | "BlackmanWindow" | "MelWeightMatrix" => {
                Some(FLOAT)
            }
            op if KEEPS_TYPE.contains(&op) => of(0),
            _ => None,
        };
        vec![first]
    }
}

/// Operators whose first output has the element type of the first input.
const KEEPS_TYPE: &[&str] = &[
    "Abs",
    "Acos",
    "Acosh",
    "Asin",
    "Asinh",
    "Atan",
    "Atanh",
    "Attention",
    "AveragePool",
    "BatchNormalization",
    "BitShift",
    "BitwiseAnd",
    "BitwiseNot",
    "BitwiseOr",
    "BitwiseXor",
    "Ceil",
    "Celu",
    "CenterCropPad",
    "Clip",
    "Col2Im",
    "Compress",
    "Conv",
    "ConvTranspose",
    "Cos",
    "Cosh",
    "CumSum",
    "DFT",
    "DepthToSpace",
    "Det",
    "Einsum",
    "Elu",
    "Erf",
    "Exp",
    "Expand",
    "Flatten",
    "Floor",
    "GRU",
    "Gather",
    "GatherElements",
    "GatherND",
    "Gelu",
    "Gemm",
    "GlobalAveragePool",
    "GlobalMaxPool",
    "GridSample",
    "GroupNormalization",
    "HardSigmoid",
    "HardSwish",
    "Hardmax",
    "Identity",
    "InstanceNormalization",
    "LRN",
    "LSTM",
    "LayerNormalization",
    "LeakyRelu",
    "Log",
    "LogSoftmax",
    "LpNormalization",
    "LpPool",
    "MatMul",
    "Mean",
    "MeanVarianceNormalization",
    "Mish",
    "Neg",
    "PRelu",
    "Pad",
    "Pow",
    "RMSNormalization",
    "RNN",
    "Range",
    "Reciprocal",
    "ReduceL1",
    "ReduceL2",
    "ReduceLogSum",
    "ReduceLogSumExp",
    "ReduceMax",
    "ReduceMean",
    "ReduceMin",
    "ReduceProd",
    "ReduceSum",
    "ReduceSumSquare",
    "Relu",
    "Reshape",
    "Resize",
    "ReverseSequence",
    "RoiAlign",
    "RotaryEmbedding",
    "Round",
    "STFT",
    "ScatterElements",
    "ScatterND",
    "Selu",
    "Sigmoid",
    "Sign",
    "Sin",
    "Slice",
    "Softmax",
    "Softplus",
    "Split",
    "Sqrt",
    "Squeeze",
    "Tan",
    "Tanh",
    "ThresholdedRelu",
    "Tile",
    "Transpose",
    "Trilu",
    "Unsqueeze",
    "Upsample",
    "Shrink",
    "Sinh",
    "Softsign",
    "SpaceToDepth",
];

fn constant_element(node: &NodeProto) -> Option<i32> {
    use data_type::{FLOAT, INT64, STRING};
    node.attribute.iter().find_map(|attribute| match attribute.name.as_str() {
        "value" => attribute.t.as_deref().map(|tensor| tensor.data_type),
        "value_int" | "value_ints" => Some(INT64),
        "value_float" | "value_floats" => Some(FLOAT),
        "value_string" | "value_strings" => Some(STRING),
        _ => None,
    })
}

/// The declared element type of a tensor.
pub(super) fn element(info: &ValueInfoProto) -> Option<i32> {
    let tensor = |of: &TypeProto| of.tensor_type.as_ref().map(|tensor| tensor.elem_type);
    info.r#type.as_ref().and_then(tensor).filter(|element| *element != 0)
}
