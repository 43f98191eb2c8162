//! Values that depend on the number of rows may determine shapes, but not elements.

use super::graph::check;

const COUNT: &str =
    "x: float[N,4]\n zero = int(0)\n one = int(1)\n first = ints(0)\n d = Shape(x)\n n = Gather(d, zero)\n";

#[test]
fn the_number_of_rows_sets_shapes() {
    check(
        17,
        &format!(
            "{COUNT} k = ints(4)\n m = Gather(d, first)\n s = Concat(m, k) axis=0\n y = Reshape(x, s)\n -> y"
        ),
        "[0] -> [0]",
    );
    check(
        17,
        &format!(
            "{COUNT} m = Gather(d, first)\n k = ints(3)\n s = Concat(m, k) axis=0\n y = ConstantOfShape(s)\n -> y"
        ),
        "[0] -> [0]",
    );
    check(
        17,
        &format!(
            "{COUNT} w = float[1,3]\n m = Gather(d, first)\n k = ints(3)\n s = Concat(m, k) axis=0\n y = Expand(w, s)\n -> y"
        ),
        "[0] -> [0]",
    );
    check(
        17,
        &format!(
            "{COUNT} w = float[1,3]\n m = Gather(d, first)\n k = ints(1)\n s = Concat(m, k) axis=0\n y = Tile(w, s)\n -> y"
        ),
        "[0] -> [0]",
    );
    // the whole axis, with its own length as the end
    check(17, &format!("{COUNT} m = Gather(d, first)\n y = Slice(x, first, m, first)\n -> y"), "[0] -> [0]");
}

#[test]
fn the_number_of_rows_does_not_reach_elements() {
    check(
        17,
        &format!("{COUNT} f = Cast(n) to=1\n y = Div(x, f)\n -> y"),
        "computes with the number of rows",
    );
    check(
        17,
        &format!("{COUNT} r = Range(zero, n, one)\n y = Cast(r) to=1\n -> y"),
        "depends on their number alone",
    );
    check(
        17,
        &format!(
            "{COUNT} table = float[512,4]\n r = Range(zero, n, one)\n p = Gather(table, r)\n y = Add(x, p)\n -> y"
        ),
        "computes with",
    );
    check(
        17,
        &format!(
            "{COUNT} table = float[512,4]\n m = Gather(d, first)\n p = Slice(table, first, m, first)\n y = Add(x, p)\n -> y"
        ),
        "computes with",
    );
    check(
        17,
        &format!("{COUNT} m = Gather(d, first)\n s = Concat(m, m) axis=0\n y = ConstantOfShape(s)\n -> y"),
        "depends on their number alone",
    );
    check(
        17,
        &format!("{COUNT} w = float[3]\n m = Gather(d, first)\n y = Expand(w, m)\n -> y"),
        "is the same for all rows",
    );
}

#[test]
fn each_row_reads_its_own_by_its_number() {
    let pick = |data: &str, how: &str| {
        format!(
            "{data}\n i: int64[N]\n zero = int(0)\n one = int(1)\n last = ints(-1)\n d = Shape(i)\n n = Gather(d, zero)\n \
             r = Range(zero, n, one)\n a = Unsqueeze(r, last)\n b = Unsqueeze(i, last)\n p = Concat({how}) axis=-1\n \
             y = GatherND(x, p)\n -> y"
        )
    };
    check(17, &pick("x: float[N,7,4]", "a, b"), "[0, 0] -> [0]");
    check(17, &pick("x: float[N,7,4]", "b, a"), "the number of rows");
    check(17, &pick("x: float[N,N,4]", "a, b"), "also of another axis");
}

#[test]
fn each_row_picks_its_own_token_of_a_flat_tensor() {
    let pick = |step: &str, place: &str| {
        format!(
            "x: float[N,7,4]\n i: int64[N,7]\n zero = int(0)\n one = int(1)\n flat = ints(-1,4)\n d = Shape(x)\n n = Gather(d, zero)\n \
             r = Range(zero, n, one)\n step = {step}\n o = Mul(r, step)\n a = {place}\n p = Add(a, o)\n f = Reshape(x, flat)\n \
             y = Gather(f, p)\n -> y"
        )
    };
    let token = "ArgMax(i) axis=1 keepdims=0";
    check(17, &pick("int(7)", token), "[0, 0] -> [0]");
    check(17, &pick("Gather(d, one)", token), "[0, 0] -> [0]");
    check(17, &pick("int(7)", "int(6)"), "[0, 0] -> [0]");
    // an index into the next row, and into the row before
    check(17, &pick("int(7)", "int(7)"), "picks rows by their numbers");
    check(17, &pick("int(6)", token), "picks rows by their numbers");
    check(17, &pick("int(7)", "ReduceSum(i, one) keepdims=0"), "computes with");
    check(17, &pick("int(-7)", token), "computes with");
}

#[test]
fn a_row_reads_itself_by_its_number() {
    check(17, &format!("{COUNT} r = Range(zero, n, one)\n y = Gather(x, r)\n -> y"), "[0] -> [0]");
    check(
        17,
        &format!("{COUNT} r = Range(zero, n, one)\n p = Add(r, one)\n y = Gather(x, p)\n -> y"),
        "picks rows by their numbers",
    );
    check(17, &format!("{COUNT} r = Range(one, n, one)\n y = Gather(x, r)\n -> y"), "computes with");
    check(
        17,
        &format!("{COUNT} r = Range(zero, n, one)\n f = Cast(r) to=1\n y = Add(x, f)\n -> y"),
        "computes with",
    );
}

#[test]
fn a_name_does_not_decide() {
    check(17, "x: float[s0,2]\n z: float[s1,2]\n y = Add(x, z)\n -> y", "[0, 0] -> [0]");
    check(17, "x: float[?,2]\n z: float[?,2]\n y = Add(x, z)\n -> y", "[0, 0] -> [0]");
    check(17, "x: float[batch,2]\n t = Transpose(x)\n y = MatMul(x, t)\n -> y", "multiplies the rows");
    check(
        17,
        "x: float[nodes,2]\n a: float[nodes,nodes]\n y = MatMul(a, x)\n -> y",
        "also of another axis of input 'a'",
    );
    check(17, "x: float[1,N]\n y = Relu(x)\n -> y", "[1] -> [1]");
    check(17, "x: float[?,3]\n h: float[2,?,3]\n y = Add(x, h)\n -> y", "[0, 1] -> [1]");
    check(17, "x: float[3,2]\n y = Relu(x)\n -> y", "input 'x' has a fixed first dimension of 3");
    check(17, "x: float[]\n y = Relu(x)\n -> y", "a single number");
    check(17, "w = float[3]\n y = Relu(w)\n -> y", "has no inputs");
    check(17, "x: float[N,2]\n w = float[3]\n y = Relu(w)\n -> y", "output 'y' is the same for all rows");
    check(17, "x: float[N,2]\n -> x", "[0] -> [0]");
}

#[test]
fn an_input_with_a_default_needs_no_rows() {
    let text = "x: float[N,2]\n t: float[1]\n t = float[1]\n y = Greater(x, t)\n -> y";
    check(17, text, "[0] -> [0]");
}
