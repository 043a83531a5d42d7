//! Other numbers for single channels of an array: whether they differ, and how far that reaches.

/// Numbers `[row][place][member]`: each member has other numbers for one channel of an array `[row][place][channel]`.
#[derive(Debug)]
pub struct Planes<'a, B: ?Sized> {
    /// The other numbers.
    pub numbers: &'a B,
    /// Places of a row, and channels of the array.
    pub size: [usize; 2],
    /// The channel of each member.
    pub channels: &'a [u32],
}

/// What outputs change by, to first order.
#[derive(Debug)]
pub struct Slopes<'a, B: ?Sized> {
    /// `[row][output][place][channel]`: by how much each output changes with each number; none where none does.
    pub gradient: Option<&'a B>,
    /// Of each row, the largest change of a number that is predicted by.
    pub limits: &'a B,
    /// `[row][output]`: the changes that are out of reach where they are predicted to be smaller.
    pub margins: &'a B,
    /// How many outputs there are.
    pub outputs: usize,
    /// What predicted changes are multiplied by.
    pub safety: f32,
}

impl<B: ?Sized> Clone for Planes<'_, B> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<B: ?Sized> Copy for Planes<'_, B> {}

impl<B: ?Sized> Clone for Slopes<'_, B> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<B: ?Sized> Copy for Slopes<'_, B> {}

/// How the numbers of a member compare with those of its channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Difference {
    /// All are equal by value.
    Same,
    /// Some are not.
    Some,
    /// Some are not, but no output is predicted to change by its margin.
    OutOfReach,
}

/// Numbers that are summed side by side.
const PARTS: usize = 8;

/// The sum of the sizes of products, in eight parts so that it takes vectors.
#[must_use]
pub fn reach(change: &[f32], gradient: &[f32]) -> f32 {
    let mut parts = [0.0_f32; PARTS];
    let (a, b) = (change.chunks_exact(PARTS), gradient.chunks_exact(PARTS));
    let rest: f32 = a.remainder().iter().zip(b.remainder()).map(|(d, g)| (d * g).abs()).sum();
    for (a, b) in a.zip(b) {
        for (part, (d, g)) in parts.iter_mut().zip(a.iter().zip(b)) {
            *part += (d * g).abs();
        }
    }
    parts.iter().sum::<f32>() + rest
}

/// How each member compares with its channel of `array` in each row, `[row][member]`.
#[must_use]
pub fn differences(planes: &Planes<'_, [f32]>, array: &[f32], slopes: Option<Slopes<'_, [f32]>>) -> Vec<Difference> {
    let ([count, channels], members) = (planes.size, planes.channels.len());
    let rows = planes.numbers.chunks_exact((count * members).max(1)).zip(array.chunks_exact((count * channels).max(1)));
    let mut found = Vec::with_capacity(planes.numbers.len() / count.max(1));
    for (row, (numbers, array)) in rows.enumerate() {
        for (member, &channel) in planes.channels.iter().enumerate() {
            let now = numbers.iter().skip(member).step_by(members);
            let was = array.iter().skip(channel as usize).step_by(channels);
            let change: Vec<f32> = now.zip(was).map(|(now, was)| now - was).collect();
            found.push(if change.iter().all(|d| *d == 0.0) {
                Difference::Same
            } else if slopes.is_some_and(|slopes| is_out_of_reach(&change, &slopes, [row, channel as usize, channels]))
            {
                Difference::OutOfReach
            } else {
                Difference::Some
            });
        }
    }
    found
}

/// Whether no output changes by its margin with the change of channel `channel`.
fn is_out_of_reach(change: &[f32], slopes: &Slopes<'_, [f32]>, [row, channel, channels]: [usize; 3]) -> bool {
    // NaN is not within any limit.
    if !change.iter().all(|d| d.abs() <= slopes.limits[row]) {
        return false;
    }
    let Some(gradient) = slopes.gradient else { return true };
    let len = change.len() * channels;
    (row * slopes.outputs..(row + 1) * slopes.outputs).all(|output| {
        let gradient = gradient[output * len..][..len].iter().skip(channel).step_by(channels);
        let gradient: Vec<f32> = gradient.copied().collect();
        slopes.safety * reach(change, &gradient) < slopes.margins[output]
    })
}

/// Puts the numbers of `pairs` (a row and a member) into the arrays `to`, one for each pair.
pub fn put(planes: &Planes<'_, [f32]>, pairs: &[[u32; 2]], to: &mut [f32]) {
    let ([count, channels], members) = (planes.size, planes.channels.len());
    for ([row, member], to) in pairs.iter().zip(to.chunks_exact_mut((count * channels).max(1))) {
        let numbers = planes.numbers[*row as usize * count * members..][..count * members].iter();
        let places = to.iter_mut().skip(planes.channels[*member as usize] as usize).step_by(channels);
        places.zip(numbers.skip(*member as usize).step_by(members)).for_each(|(to, number)| *to = *number);
    }
}
