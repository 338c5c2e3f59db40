//! Runs once, from start to end.

fn main() {
    println!("Hello from Rust!");
}
