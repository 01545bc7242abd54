//! Gzipped tar archives: the same files give the same bytes, and what is unpacked stays below its folder.

use crate::{guard, message_json, write_out, Buf, Str};
use flate2::{read::GzDecoder, Compression, GzBuilder};
use serde_json::{json, Value};
use sha2::{Digest, Sha256};
use std::fs::{self, File};
use std::io::{self, BufWriter, Read, Write};
use std::os::unix::fs::{symlink, OpenOptionsExt};
use std::path::{Component, Path, PathBuf};

/// Of every entry: 1 January 1980, the earliest that all archivers agree on.
const MTIME: u64 = 315_532_800;
const MOST_MANIFEST: u64 = 64 << 20;

/// Digests what passes on its way.
struct Digesting<T> {
    inner: T,
    digest: Sha256,
}

impl<W: Write> Write for Digesting<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let n = self.inner.write(bytes)?;
        self.digest.update(&bytes[..n]);
        Ok(n)
    }
    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

impl<R: Read> Read for Digesting<R> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let n = self.inner.read(bytes)?;
        self.digest.update(&bytes[..n]);
        Ok(n)
    }
}

fn hex(digest: Sha256) -> String {
    digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

fn text<'a>(value: &'a Value, key: &str) -> Result<&'a str, String> {
    value.get(key).and_then(Value::as_str).ok_or_else(|| format!("the request has no {key}"))
}

/// What a path below a folder may look like.
fn is_inner(path: &Path) -> bool {
    path.components().next().is_some() && path.components().all(|part| matches!(part, Component::Normal(_)))
}

/// Whether a link at `path` with this target stays below the folder that `path` counts from.
fn stays_inside(path: &Path, target: &Path) -> bool {
    let mut depth = path.components().count() as i64 - 1;
    for part in target.components() {
        match part {
            Component::Normal(_) => depth += 1,
            Component::ParentDir => depth -= 1,
            Component::CurDir => {}
            _ => return false,
        }
        if depth < 0 {
            return false;
        }
    }
    true
}

fn header(kind: tar::EntryType, size: u64, mode: u32) -> tar::Header {
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(kind);
    header.set_size(size);
    header.set_mode(mode);
    header.set_mtime(MTIME);
    header.set_uid(0);
    header.set_gid(0);
    header
}

fn write(request: &Value) -> Result<Value, String> {
    let out = text(request, "out")?;
    let file = File::create(out).map_err(|error| format!("{out}: {error}"))?;
    let gzip = GzBuilder::new().mtime(0).operating_system(255).write(BufWriter::new(file), Compression::new(6));
    let mut archive = tar::Builder::new(Digesting { inner: gzip, digest: Sha256::new() });
    for entry in request.get("entries").and_then(Value::as_array).ok_or("the request has no entries")? {
        let path = text(entry, "path")?;
        if !is_inner(Path::new(path)) {
            return Err(format!("{path}: not a path below a folder"));
        }
        let mode = if entry.get("executable").and_then(Value::as_bool) == Some(true) { 0o755 } else { 0o644 };
        let wrong = |error: io::Error| format!("{path}: {error}");
        if let Some(target) = entry.get("link").and_then(Value::as_str) {
            archive.append_link(&mut header(tar::EntryType::Symlink, 0, 0o777), path, target).map_err(wrong)?;
        } else if let Some(source) = entry.get("source").and_then(Value::as_str) {
            let mut bytes = Vec::new();
            File::open(source).and_then(|mut file| file.read_to_end(&mut bytes)).map_err(wrong)?;
            archive.append_data(&mut header(tar::EntryType::Regular, bytes.len() as u64, mode), path, &bytes[..]).map_err(wrong)?;
        } else {
            let bytes = text(entry, "text")?.as_bytes();
            archive.append_data(&mut header(tar::EntryType::Regular, bytes.len() as u64, mode), path, bytes).map_err(wrong)?;
        }
    }
    let broken = |error: io::Error| format!("{out}: {error}");
    let Digesting { inner, digest } = archive.into_inner().map_err(broken)?;
    let file = inner.finish().map_err(broken)?.into_inner().map_err(|error| format!("{out}: {error}"))?;
    file.sync_all().map_err(broken)?;
    let size = file.metadata().map_err(broken)?.len();
    Ok(json!({"sha256": hex(digest), "bytes": size}))
}

fn open(request: &Value) -> Result<tar::Archive<Digesting<io::Take<GzDecoder<File>>>>, String> {
    let path = text(request, "archive")?;
    let most = request.get("most_bytes").and_then(Value::as_u64).unwrap_or(4 << 30);
    let file = File::open(path).map_err(|error| format!("{path}: {error}"))?;
    // One byte more than is allowed shows that there is more.
    Ok(tar::Archive::new(Digesting { inner: GzDecoder::new(file).take(most + 1), digest: Sha256::new() }))
}

/// The text of one member, read from the beginning of the archive.
fn member(request: &Value) -> Result<Value, String> {
    let wanted = text(request, "member")?;
    let mut archive = open(request)?;
    for entry in archive.entries().map_err(|error| error.to_string())? {
        let mut entry = entry.map_err(|error| error.to_string())?;
        if entry.path().map_err(|error| error.to_string())? != Path::new(wanted) {
            continue;
        }
        if entry.size() > MOST_MANIFEST {
            return Err(format!("{wanted} is larger than {MOST_MANIFEST} bytes"));
        }
        let mut out = String::new();
        entry.read_to_string(&mut out).map_err(|error| format!("{wanted}: {error}"))?;
        return Ok(json!({"text": out}));
    }
    Err(format!("it has no {wanted}"))
}

fn unpack(request: &Value) -> Result<Value, String> {
    let folder = PathBuf::from(text(request, "folder")?);
    let most_files = request.get("most_files").and_then(Value::as_u64).unwrap_or(200_000);
    let mut archive = open(request)?;
    let mut links = Vec::new();
    let mut files = 0;
    for entry in archive.entries().map_err(|error| error.to_string())? {
        let mut entry = entry.map_err(|error| error.to_string())?;
        let path = entry.path().map_err(|error| error.to_string())?.into_owned();
        let shown = path.display().to_string();
        files += 1;
        if files > most_files {
            return Err(format!("it has more than {most_files} files"));
        }
        if !is_inner(&path) {
            return Err(format!("{shown} leaves the folder"));
        }
        let to = folder.join(&path);
        let wrong = |error: io::Error| format!("{shown}: {error}");
        match entry.header().entry_type() {
            tar::EntryType::Directory => fs::create_dir_all(&to).map_err(wrong)?,
            tar::EntryType::Regular => {
                if let Some(parent) = to.parent() {
                    fs::create_dir_all(parent).map_err(wrong)?;
                }
                let mode = if entry.header().mode().unwrap_or(0o644) & 0o100 != 0 { 0o755 } else { 0o644 };
                // Nothing is overwritten, and no link followed: those are made at the end.
                let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(mode).open(&to).map_err(wrong)?;
                io::copy(&mut entry, &mut file).map_err(wrong)?;
            }
            tar::EntryType::Symlink => {
                let target = entry.link_name().map_err(wrong)?.map(|name| name.into_owned()).unwrap_or_default();
                if !stays_inside(&path, &target) {
                    return Err(format!("the link {shown} leaves the folder"));
                }
                links.push((to, target, shown));
            }
            other => return Err(format!("{shown} is neither a file nor a folder nor a link, but {other:?}")),
        }
    }
    for (to, target, shown) in links {
        if let Some(parent) = to.parent() {
            fs::create_dir_all(parent).map_err(|error| format!("{shown}: {error}"))?;
        }
        symlink(&target, &to).map_err(|error| format!("{shown}: {error}"))?;
    }
    // What stands behind the last entry counts into the digest too.
    let mut inner = archive.into_inner();
    io::copy(&mut inner, &mut io::sink()).map_err(|error| error.to_string())?;
    if inner.inner.limit() == 0 {
        return Err("it unpacks to more than is allowed".into());
    }
    Ok(json!({"sha256": hex(inner.digest), "files": files}))
}

/// # Safety
/// `request` is readable, `out` writable.
unsafe fn answer(request: Str, out: *mut Buf, action: fn(&Value) -> Result<Value, String>) -> i32 {
    let done = guard(|| {
        let text = unsafe { request.text() }?;
        action(&serde_json::from_str(text).map_err(|error| error.to_string())?)
    })
    .and_then(|inner| inner);
    match done {
        Ok(value) => {
            unsafe { write_out(out, value.to_string()) };
            0
        }
        Err(message) => {
            unsafe { write_out(out, message_json(&message)) };
            1
        }
    }
}

/// # Safety
/// As [`answer`].
#[no_mangle]
pub unsafe extern "C" fn sb_archive_write(request: Str, out: *mut Buf) -> i32 {
    unsafe { answer(request, out, write) }
}

/// # Safety
/// As [`answer`].
#[no_mangle]
pub unsafe extern "C" fn sb_archive_member(request: Str, out: *mut Buf) -> i32 {
    unsafe { answer(request, out, member) }
}

/// # Safety
/// As [`answer`].
#[no_mangle]
pub unsafe extern "C" fn sb_archive_unpack(request: Str, out: *mut Buf) -> i32 {
    unsafe { answer(request, out, unpack) }
}
