//! A node's attributes, and which of them nobody asked for.

use std::cell::RefCell;
use std::collections::BTreeSet;

use super::constant::Constant;
use super::model::{Attribute, Node};

/// The attributes of one node.
#[derive(Debug)]
pub(super) struct Settings<'n, 'a> {
    node: &'n Node<'a>,
    asked: RefCell<BTreeSet<&'static str>>,
}

impl<'n, 'a> Settings<'n, 'a> {
    pub(super) const fn of(node: &'n Node<'a>) -> Self {
        Self { node, asked: RefCell::new(BTreeSet::new()) }
    }

    fn find(&self, name: &'static str) -> Option<&'n Attribute<'a>> {
        self.asked.borrow_mut().insert(name);
        self.node.attributes.iter().find(|attribute| attribute.name == name)
    }

    pub(super) fn int(&self, name: &'static str, default: i64) -> i64 {
        self.find(name).and_then(|attribute| attribute.int).unwrap_or(default)
    }

    pub(super) fn float(&self, name: &'static str, default: f32) -> f32 {
        self.find(name).and_then(|attribute| attribute.float).unwrap_or(default)
    }

    pub(super) fn text(&self, name: &'static str, default: &'static str) -> &'n str {
        self.find(name).and_then(|attribute| attribute.text.as_deref()).unwrap_or(default)
    }

    pub(super) fn texts(&self, name: &'static str) -> &'n [String] {
        self.find(name).map(|attribute| attribute.texts.as_slice()).unwrap_or_default()
    }

    pub(super) fn ints(&self, name: &'static str) -> Option<&'n [i64]> {
        self.find(name).map(|attribute| attribute.ints.as_slice())
    }

    pub(super) fn tensor(&self, name: &'static str) -> Option<&'n Constant<'a>> {
        self.find(name).and_then(|attribute| attribute.tensor.as_ref())
    }

    pub(super) fn number(&self, name: &'static str) -> Option<f32> {
        self.find(name).and_then(|attribute| attribute.float)
    }

    /// `default` extents, or those of the attribute, none of them negative.
    pub(super) fn extents<const N: usize>(&self, name: &'static str, default: usize) -> Result<[usize; N], String> {
        let Some(ints) = self.ints(name) else { return Ok([default; N]) };
        let extents: Option<Vec<usize>> = ints.iter().map(|&extent| usize::try_from(extent).ok()).collect();
        let extents = extents.and_then(|extents| extents.try_into().ok());
        extents.ok_or_else(|| format!("has {name} = {ints:?} where {N} extents that are not negative belong"))
    }

    /// Fails unless attribute `name`, or `default` without it, is `wanted`.
    pub(super) fn require(&self, name: &'static str, default: i64, wanted: i64) -> Result<(), String> {
        let found = self.int(name, default);
        if found == wanted { Ok(()) } else { Err(format!("has {name} = {found}, where only {wanted} is supported")) }
    }

    /// Attributes that were never asked for.
    pub(super) fn unknown(&self) -> Vec<&'n str> {
        let asked = self.asked.borrow();
        let names = self.node.attributes.iter().map(|attribute| attribute.name.as_str());
        names.filter(|name| !asked.contains(name)).collect()
    }
}
