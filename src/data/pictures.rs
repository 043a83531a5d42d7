//! Sets that are folders of pictures: a folder of your own with one folder a class, and the traffic signs of `gtsrb`.
//!
//! A folder is one source: its files are hashed together with their names, in the order of the names. Pictures are decoded
//! in parallel, a file at a time, and brought to one size.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use duress_cache::{ContentHash as _, Digest};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::decoded::{Answers, Decoded, Values};
use super::error::DataError;
use super::picture::{ENDINGS, Picture};
use super::resize::Resizer;

/// How pictures become rows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pictures {
    /// Height and width that every picture is brought to.
    pub size: [usize; 2],
    /// Whether colours are mixed to grey.
    pub grey: bool,
    /// How many classes there are, where that is said beforehand.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub classes: Option<usize>,
}

/// The files of one source: each with its name within it.
pub(super) type Bundle = Arc<[(String, PathBuf)]>;

/// A picture's file among those of a bundle, and its class.
pub(super) type Labelled = (usize, u32);

impl Pictures {
    /// The shape of a row, `[channels, height, width]`.
    #[must_use]
    pub fn shape(&self) -> Vec<usize> {
        vec![if self.grey { 1 } else { 3 }, self.size[0], self.size[1]]
    }

    /// Decodes the pictures that `label` finds in a bundle, whose digest must be the one given.
    ///
    /// # Errors
    /// Where a file cannot be read or decoded, or the files are not those of the digest.
    pub(super) fn decode(
        &self,
        source: &str,
        bundle: &Bundle,
        digest: &Digest,
        label: &Label,
    ) -> Result<Decoded, DataError> {
        let read = |(name, path): &(String, PathBuf)| {
            let raw = fs::read(path).map_err(|cause| DataError::unreadable(name, path, cause))?;
            let hashed = (name.clone(), Digest::of_bytes(&raw));
            let is_picture = is_picture(Path::new(name));
            let content = if is_picture { self.pixels(name, &raw)? } else { raw };
            Ok::<_, DataError>((hashed, content))
        };
        let files = bundle.par_iter().map(read).collect::<Result<Vec<_>, _>>()?;
        let (hashed, contents): (Vec<_>, Vec<_>) = files.into_iter().unzip();
        let found = hashed.digest();
        if found != *digest {
            return Err(DataError::Changed { file: source.to_owned(), expected: *digest, found });
        }
        let names: Vec<&str> = bundle.iter().map(|(name, _)| name.as_str()).collect();
        let (rows, classes) = label(source, &names, &contents)?;
        let mut codes = Vec::with_capacity(rows.len() * self.shape().iter().product::<usize>());
        for &(file, _) in &rows {
            codes.extend(&contents[file]);
        }
        let labels = rows.into_iter().map(|(_, label)| label).collect();
        let answers = Answers::Classes { labels, classes: self.classes.unwrap_or(classes) };
        Decoded::new(source, self.shape(), Values::Codes { codes, max: u8::MAX }, answers)
    }

    /// The planes of one picture in the common size.
    fn pixels(&self, name: &str, raw: &[u8]) -> Result<Vec<u8>, DataError> {
        let picture = Picture::decode(name, raw)?;
        let resizer = Resizer::new([picture.height, picture.width], self.size);
        let mut out = Vec::with_capacity(self.shape().iter().product());
        for plane in picture.planes(self.grey) {
            resizer.plane(&plane, &mut out);
        }
        Ok(out)
    }
}

/// Tells which files are rows, in what order, and of which class; and how many classes there are. It is given the source,
/// the names of its files and their contents (decoded where they are pictures).
pub(super) type Label = dyn Fn(&str, &[&str], &[Vec<u8>]) -> Result<(Vec<Labelled>, usize), DataError>;

/// The class of each picture is the folder it lies in; classes are numbered in the order of their names.
pub(super) fn by_folder(source: &str, names: &[&str], _: &[Vec<u8>]) -> Result<(Vec<Labelled>, usize), DataError> {
    let mut classes: Vec<&str> = names.iter().filter_map(|name| name.split_once('/')).map(|(class, _)| class).collect();
    classes.sort_unstable();
    classes.dedup();
    let label = |(file, name): (usize, &&str)| {
        let class = name.split_once('/').map_or("", |(class, _)| class);
        let label = classes.binary_search(&class).ok()?;
        Some((file, label as u32))
    };
    let rows: Vec<Labelled> = names.iter().enumerate().filter_map(label).collect();
    if rows.is_empty() {
        let fix = "put the pictures of each class into a folder of their own inside it";
        return Err(DataError::malformed_with(source, "it holds no pictures in folders", fix));
    }
    Ok((rows, classes.len()))
}

/// Every picture below `folder`, named by its path from there with slashes, in the order of the names.
///
/// # Errors
/// Where a folder cannot be listed.
pub(super) fn list(source: &str, folder: &Path) -> Result<Vec<(String, PathBuf)>, DataError> {
    let mut files = Vec::new();
    let mut folders = vec![(String::new(), folder.to_owned())];
    while let Some((prefix, folder)) = folders.pop() {
        let unreadable = |cause| DataError::unreadable(source, &folder, cause);
        for entry in fs::read_dir(&folder).map_err(unreadable)? {
            let entry = entry.map_err(unreadable)?;
            let name = entry.file_name().to_string_lossy().into_owned();
            if name.starts_with('.') {
                continue;
            }
            let path = entry.path();
            // Links are followed, so that a set may be put together of links; a link back up would never end.
            if path.is_dir() && !entry.file_type().map_err(unreadable)?.is_symlink() {
                folders.push((format!("{prefix}{name}/"), path));
            } else if path.is_file() && is_picture(&path) {
                files.push((format!("{prefix}{name}"), path));
            }
        }
    }
    files.sort_unstable();
    Ok(files)
}

/// Whether a file is named like a picture.
pub(super) fn is_picture(path: &Path) -> bool {
    let ending = path.extension().and_then(|ending| ending.to_str());
    ending.is_some_and(|ending| ENDINGS.iter().any(|known| known.eq_ignore_ascii_case(ending)))
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::picture::tests::ppm;
    use super::*;

    /// Writes `files` below a new folder.
    pub(in super::super) fn folder(files: &[(&str, Vec<u8>)]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().expect("a folder");
        for (name, content) in files {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().expect("inside")).expect("made");
            fs::write(path, content).expect("written");
        }
        folder
    }

    /// The digest of a bundle, as the engine takes it.
    pub(in super::super) fn digest(bundle: &Bundle) -> Digest {
        let hash = |(name, path): &(String, PathBuf)| (name.clone(), Digest::of_bytes(&fs::read(path).expect("there")));
        bundle.iter().map(hash).collect::<Vec<_>>().digest()
    }

    fn small() -> Pictures {
        Pictures { size: [2, 2], grey: false, classes: None }
    }

    #[test]
    fn each_folder_is_a_class_and_names_give_the_order() {
        let folder = folder(&[
            ("dog/b.ppm", ppm(4, 4, [10, 20, 30])),
            ("cat/x.PPM", ppm(2, 2, [1, 2, 3])),
            ("dog/a/deep.ppm", ppm(1, 3, [4, 5, 6])),
            ("dog/.hidden.ppm", vec![]),
            ("notes.txt", vec![]),
        ]);
        let bundle: Bundle = list("folder", folder.path()).expect("listed").into();
        let names: Vec<_> = bundle.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["cat/x.PPM", "dog/a/deep.ppm", "dog/b.ppm"]);
        let data = small().decode("folder", &bundle, &digest(&bundle), &by_folder).expect("decodes");
        assert_eq!((data.rows(), &data.shape[..]), (3, &[3, 2, 2][..]));
        assert_eq!(data.answers, Answers::Classes { labels: vec![0, 1, 1], classes: 2 });
        let Values::Codes { codes, .. } = data.values else { panic!("codes") };
        assert_eq!(codes[..12], [1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3]);
    }

    #[test]
    fn a_changed_or_broken_picture_is_found() {
        let folder = folder(&[("a/1.ppm", ppm(2, 2, [1; 3])), ("b/2.ppm", ppm(2, 2, [2; 3]))]);
        let bundle: Bundle = list("folder", folder.path()).expect("listed").into();
        let before = digest(&bundle);
        fs::write(folder.path().join("a/1.ppm"), ppm(2, 2, [7; 3])).expect("written");
        let error = small().decode("folder", &bundle, &before, &by_folder).expect_err("changed");
        assert!(matches!(error, DataError::Changed { .. }), "{error}");
        fs::write(folder.path().join("a/1.ppm"), b"P6").expect("written");
        let error = small().decode("folder", &bundle, &before, &by_folder).expect_err("broken");
        assert!(error.to_string().contains("`a/1.ppm`"), "{error}");
    }

    #[test]
    fn a_folder_without_classes_says_how_it_should_look() {
        let folder = folder(&[("1.ppm", ppm(2, 2, [1; 3]))]);
        let bundle: Bundle = list("folder", folder.path()).expect("listed").into();
        let error = small().decode("folder", &bundle, &digest(&bundle), &by_folder).expect_err("no classes");
        assert!(error.to_string().contains("a folder of their own"), "{error}");
    }
}
