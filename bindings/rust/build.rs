// SPDX-License-Identifier: Apache-2.0
//! Says where libredcol.so is: in the folder that REDCOL_LIB_DIR names, else where the linker looks.

fn main() {
    println!("cargo:rerun-if-env-changed=REDCOL_LIB_DIR");
    if let Ok(folder) = std::env::var("REDCOL_LIB_DIR") {
        println!("cargo:rustc-link-search=native={}", folder);
    }
}
