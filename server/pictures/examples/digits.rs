//! Shows the preprocessing of MNIST-like models at work. It reads file names from standard input. For each file it
//! prints a line to standard error: how many digits it shows and where, or why none. The 28 x 28 bytes of each digit go
//! to standard output, one digit after another.
//!
//! `ls *.png | cargo run --release -p pictures --example digits >digits.raw`
#![expect(clippy::print_stderr, reason = "the program's output")]

use std::{
    error::Error,
    fs,
    io::{self, BufRead, Write},
    time::Instant,
};

use pictures::{Limits, decode, mnist};

fn main() -> Result<(), Box<dyn Error>> {
    let mut out = io::stdout().lock();
    for path in io::stdin().lock().lines() {
        let path = path?;
        let bytes = fs::read(&path)?;
        let start = Instant::now();
        let picture = decode(&bytes, &Limits::default());
        let decoded = start.elapsed().as_micros();
        let found = picture
            .map_err(|error| error.to_string())
            .and_then(|picture| mnist::digits(picture.view()).map_err(|error| error.to_string()));
        let all = start.elapsed().as_micros();
        match found {
            Ok(found) => {
                eprint!("{path}\t{}\t{decoded}\t{all}", found.len());
                for digit in found {
                    let mnist::Bounds { left, top, width, height } = digit.bounds;
                    eprint!("\t{left},{top},{width},{height}");
                    out.write_all(&digit.pixels.into_raw_vec_and_offset().0)?;
                }
                eprintln!();
            }
            Err(why) => eprintln!("{path}\t0\t{decoded}\t{all}\t{why}"),
        }
    }
    Ok(())
}
