//! The `duress` program. Everything it does is in the library; see [`duress::commands`].

use std::process::ExitCode;

fn main() -> ExitCode {
    duress::commands::main()
}
