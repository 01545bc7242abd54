//! Hands the bundled SQLite's header to the C++ side: copies it to the folder named by SABIR_BRIDGE_INCLUDE.

use std::{env, fs, path::Path};

fn main() {
    println!("cargo:rerun-if-env-changed=SABIR_BRIDGE_INCLUDE");
    println!("cargo:rerun-if-changed=build.rs");
    let Ok(target) = env::var("SABIR_BRIDGE_INCLUDE") else { return };
    let source = env::var("DEP_SQLITE3_INCLUDE").expect("libsqlite3-sys says where its sqlite3.h is");
    let target = Path::new(&target);
    fs::create_dir_all(target).expect("the folder for sqlite3.h can be made");
    for name in ["sqlite3.h", "sqlite3ext.h"] {
        let from = Path::new(&source).join(name);
        let bytes = fs::read(&from).unwrap_or_else(|error| panic!("cannot read {}: {error}", from.display()));
        let to = target.join(name);
        // An unchanged header keeps its time stamp, so that nothing that includes it is compiled again.
        if fs::read(&to).ok().as_deref() != Some(&bytes[..]) {
            fs::write(&to, &bytes).unwrap_or_else(|error| panic!("cannot write {}: {error}", to.display()));
        }
    }
}
