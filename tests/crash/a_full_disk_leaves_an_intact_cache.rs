use std::process::Command;

use crate::support::{STUDY, Sandbox};

/// Mounts a file system of so many kilobytes over the sandbox's cache; `None` where that is not allowed.
fn small_disk(sandbox: &Sandbox, kilobytes: u32) -> Option<Mounted> {
    let folder = sandbox.cache();
    std::fs::create_dir_all(&folder).expect("the sandbox can be written");
    let size = format!("size={kilobytes}k");
    let mount = Command::new("mount").args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(&folder).output().ok()?;
    mount.status.success().then_some(Mounted(folder))
}

struct Mounted(std::path::PathBuf);

impl Mounted {
    fn grow(&self) {
        let done = Command::new("mount").args(["-o", "remount,size=64m"]).arg(&self.0).status();
        assert!(done.is_ok_and(|status| status.success()), "a mounted disk can grow");
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

#[test]
fn a_full_disk_ends_in_a_clear_error_and_an_intact_cache() {
    let sandbox = Sandbox::with(STUDY);
    let Some(disk) = small_disk(&sandbox, 300) else {
        println!("skipped: mounting a small disk is not allowed here");
        return;
    };
    let output = sandbox.duress(&["run", "study.toml"]);
    assert_ne!(output.code, 0, "{}{}", output.stdout, output.stderr);
    let said = output.stdout + &output.stderr;
    assert!(said.contains("no space"), "{said}");
    disk.grow();
    let output = sandbox.duress(&["cache", "verify"]);
    assert_eq!(output.code, 0, "{}{}", output.stdout, output.stderr);
    sandbox.run(&[]);
    let again = sandbox.run(&[]);
    assert_eq!(again.total("computed"), 0);
    drop(disk);
}
