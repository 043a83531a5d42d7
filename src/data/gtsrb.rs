//! `gtsrb`: German traffic signs, 43 classes, photographs of 15 to 250 pixels that are brought to one size.
//!
//! J. Stallkamp, M. Schlipsing, J. Salmen and C. Igel, *Man vs. computer*, Neural Networks 2012. Training pictures lie in a
//! folder for each class, named by its number; the classes of the test pictures are in a table. The folders of the
//! publishers' archives, of torchvision and of Kaggle are known.

use std::path::{Path, PathBuf};

use super::error::DataError;
use super::facts::{Description, Facts, Moments, Task};
use super::pictures::{Labelled, list};
use super::source::Part;

/// How many classes there are.
const CLASSES: usize = 43;
/// Test pictures, in every edition.
const TEST_ROWS: usize = 12_630;
/// What the table of test classes is called among the files of the source.
const TABLE: &str = "classes.csv";

/// What is known of it.
pub(super) const DESCRIPTION: Description = Description {
    name: "gtsrb",
    summary: "Photographs of German traffic signs, 43 classes, of any size",
    facts: Facts {
        task: Task::Classification,
        shape: None,
        classes: Some(CLASSES),
        // 39 209 as published, 26 640 in the edition that torchvision downloads.
        train_rows: None,
        test_rows: Some(TEST_ROWS),
        class_names: &[],
        moments: Some(Moments { mean: &[0.3403, 0.3121, 0.3214], std: &[0.2724, 0.2608, 0.2669] }),
    },
    origin: "https://benchmark.ini.rub.de/gtsrb_news.html",
    licence: "CC0 (Kaggle edition); cite Stallkamp et al. 2012",
};

/// Where training pictures may be, inside the folder of the set.
const TRAIN: [&str; 5] =
    ["GTSRB/Final_Training/Images", "Final_Training/Images", "GTSRB/Training", "Training", "Train"];
/// Where test pictures may be, and the table of their classes.
const TEST: [(&str, &[&str]); 3] = [
    ("GTSRB/Final_Test/Images", &["GT-final_test.csv", "GTSRB/GT-final_test.csv"]),
    ("Final_Test/Images", &["GT-final_test.csv"]),
    ("Test", &["Test.csv", "GT-final_test.csv"]),
];

/// The files of a part below one of `folders`.
///
/// # Errors
/// Where they are in none, or cannot be listed.
pub(super) fn find(part: Part, folders: &[PathBuf]) -> Result<Vec<(String, PathBuf)>, DataError> {
    let found = folders.iter().find_map(|folder| match part {
        Part::Train => {
            TRAIN.iter().map(|inside| folder.join(inside)).find(|path| path.is_dir()).map(|path| (path, None))
        }
        Part::Test => TEST.iter().find_map(|(inside, tables)| test(folder, inside, tables)),
    });
    let Some((pictures, table)) = found else {
        let inside: &[&str] = match part {
            Part::Train => &TRAIN,
            Part::Test => &TEST.map(|(inside, _)| inside),
        };
        return Err(DataError::Missing {
            data: DESCRIPTION.name.into(),
            file: name(part).into(),
            looked: folders.iter().flat_map(|folder| inside.iter().map(|path| folder.join(path))).collect(),
            fix:
                "run `duress data fetch gtsrb`, or unpack the publishers' archives (with GT-final_test.csv) and write \
                  `path = \"...\"` with their folder"
                    .into(),
        });
    };
    let mut files = list(name(part), &pictures)?;
    files.extend(table.map(|table| (TABLE.to_owned(), table)));
    files.sort_unstable();
    Ok(files)
}

/// The test pictures and their table, where both are there; a table without classes lies beside the pictures too.
fn test(folder: &Path, inside: &str, tables: &[&str]) -> Option<(PathBuf, Option<PathBuf>)> {
    let pictures = folder.join(inside);
    let beside = pictures.join("GT-final_test.csv");
    let mut tables = tables.iter().map(|table| folder.join(table)).chain([beside]);
    let table = tables.find(|table| table.is_file())?;
    pictures.is_dir().then_some((pictures, Some(table)))
}

/// The logical name of a part.
pub(super) const fn name(part: Part) -> &'static str {
    match part {
        Part::Train => "train-signs",
        Part::Test => "test-signs",
    }
}

/// The class of a training picture is the number of its folder.
///
/// # Errors
/// Where a folder is no number of a class.
pub(super) fn train_labels(source: &str, names: &[&str], _: &[Vec<u8>]) -> Result<(Vec<Labelled>, usize), DataError> {
    let label = |(file, name): (usize, &&str)| {
        let folder = name.split_once('/').map_or("", |(folder, _)| folder);
        match folder.parse::<u32>() {
            Ok(class) if (class as usize) < CLASSES => Ok((file, class)),
            _ => Err(DataError::malformed(source, format!("`{name}` lies in no folder named 0 to {}", CLASSES - 1))),
        }
    };
    Ok((names.iter().enumerate().map(label).collect::<Result<_, _>>()?, CLASSES))
}

/// The classes of test pictures are in the columns `Filename` or `Path`, and `ClassId`, of the table.
///
/// # Errors
/// Where the table lacks a column or names a picture that is not there.
pub(super) fn test_labels(
    source: &str,
    names: &[&str],
    contents: &[Vec<u8>],
) -> Result<(Vec<Labelled>, usize), DataError> {
    let bad = |problem: String| DataError::malformed(source, problem);
    let table = names.iter().position(|name| *name == TABLE).ok_or_else(|| bad("it has no table of classes".into()))?;
    let text = std::str::from_utf8(&contents[table]).map_err(|_| bad("its table of classes is no text".into()))?;
    let mut lines = text.lines();
    let header = lines.next().unwrap_or_default();
    let separator = if header.contains(';') { ';' } else { ',' };
    let column = |wanted: &[&str]| {
        let position = header.split(separator).position(|name| wanted.contains(&name.trim()));
        position.ok_or_else(|| bad(format!("its table of classes has no column `{}`", wanted[0])))
    };
    let (file_column, class_column) = (column(&["Filename", "Path"])?, column(&["ClassId"])?);
    let row = |line: &str| {
        let field = |index: usize| line.split(separator).nth(index).unwrap_or_default().trim();
        let file = field(file_column).rsplit('/').next().unwrap_or_default();
        let found = names.binary_search(&file).map_err(|_| bad(format!("the picture `{file}` is not there")))?;
        let class = field(class_column).parse::<u32>();
        match class {
            Ok(class) if (class as usize) < CLASSES => Ok((found, class)),
            _ => Err(bad(format!("the class of `{file}` is no number from 0 to {}", CLASSES - 1))),
        }
    };
    let rows = lines.filter(|line| !line.trim().is_empty()).map(row).collect::<Result<Vec<_>, _>>()?;
    Ok((rows, CLASSES))
}

/// Whether `table` gives each of the test pictures `00000.ppm`, `00001.ppm`, ... a class; the error completes "the table, ...".
pub(super) fn check_table(table: &[u8], pictures: usize) -> Result<(), String> {
    let mut names: Vec<String> = (0..pictures).map(|number| format!("{number:05}.ppm")).collect();
    names.push(TABLE.to_owned());
    let mut contents = vec![Vec::new(); pictures];
    contents.push(table.to_vec());
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let (mut rows, _) =
        test_labels("test-signs", &names, &contents).map_err(|error| format!("which is wrong: {error}"))?;
    rows.sort_unstable();
    rows.dedup_by_key(|(file, _)| *file);
    if rows.len() != pictures {
        return Err(format!("which gives {} of {pictures} pictures a class", rows.len()));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::decoded::Answers;
    use super::super::picture::tests::ppm;
    use super::super::pictures::tests::{digest, folder};
    use super::super::pictures::{Bundle, Pictures};
    use super::*;

    fn labels(part: Part, folder: &Path) -> Answers {
        let bundle: Bundle = find(part, &[folder.to_owned()]).expect("found").into();
        let pictures = Pictures { size: [3, 3], grey: true, classes: None };
        let label = if part == Part::Train { train_labels } else { test_labels };
        pictures.decode(name(part), &bundle, &digest(&bundle), &label).expect("decodes").answers
    }

    #[test]
    fn the_folders_of_every_edition_are_known() {
        let sign = |level| ppm(5, 4, [level; 3]);
        let published = folder(&[
            ("GTSRB/Final_Training/Images/00007/00000_00000.ppm", sign(1)),
            ("GTSRB/Final_Training/Images/00042/00000_00000.ppm", sign(2)),
            ("GTSRB/Final_Test/Images/00000.ppm", sign(3)),
            ("GTSRB/Final_Test/Images/00001.ppm", sign(4)),
            ("GT-final_test.csv", b"Filename;Width;Height;ClassId\n00001.ppm;5;4;3\r\n00000.ppm;5;4;16\n".to_vec()),
        ]);
        let kaggle = folder(&[
            ("Train/7/a.png.ppm", sign(1)),
            ("Train/42/b.ppm", sign(2)),
            ("Test/00000.ppm", sign(3)),
            ("Test/00001.ppm", sign(4)),
            ("Test.csv", b"Width,ClassId,Path\n5,3,Test/00001.ppm\n5,16,Test/00000.ppm\n".to_vec()),
        ]);
        let classes = |labels: [u32; 2]| Answers::Classes { labels: labels.to_vec(), classes: 43 };
        assert_eq!(labels(Part::Train, published.path()), classes([7, 42]));
        assert_eq!(labels(Part::Train, kaggle.path()), classes([42, 7]), "names are in the order of text");
        for edition in [&published, &kaggle] {
            assert_eq!(labels(Part::Test, edition.path()), classes([3, 16]), "rows are in the order of the table");
        }
    }

    #[test]
    fn what_is_missing_is_named() {
        let empty = folder(&[]);
        let error = find(Part::Test, &[empty.path().to_owned()]).expect_err("nothing").to_string();
        assert!(error.contains("`test-signs`") && error.contains("GT-final_test.csv"), "{error}");
        let names = ["00000.ppm", TABLE];
        let read = |table: &str| test_labels("test-signs", &names, &[vec![], table.into()]).map(|(rows, _)| rows);
        assert_eq!(read("Filename;ClassId\n00000.ppm;42").expect("fits"), [(0, 42)]);
        for table in ["Filename;Width\n00000.ppm;1", "Filename;ClassId\n00001.ppm;1", "Filename;ClassId\n00000.ppm;43"]
        {
            let error = read(table).expect_err("wrong").to_string();
            assert!(error.contains("`test-signs`"), "{error}");
        }
    }
}
