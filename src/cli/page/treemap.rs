//! Rectangles whose areas are sizes, as square as can be (Bruls, Huizing and van Wijk, 2000).

/// A place on the map; the unit is whatever the whole was given in.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rect {
    pub x: f64,
    pub y: f64,
    pub width: f64,
    pub height: f64,
}

impl Rect {
    /// What is left inside a border.
    pub fn shrunk(self, border: f64, top: f64) -> Self {
        Self {
            x: self.x + border,
            y: self.y + top,
            width: (self.width - 2.0 * border).max(0.0),
            height: (self.height - top - border).max(0.0),
        }
    }
}

/// A rectangle for each weight, in the same order; weights are in descending order.
pub fn squarify(weights: &[u64], whole: Rect) -> Vec<Rect> {
    #[allow(clippy::cast_precision_loss)]
    let sizes: Vec<f64> = weights.iter().map(|&weight| weight.max(1) as f64).collect();
    let sum: f64 = sizes.iter().sum();
    let scale = whole.width * whole.height / sum.max(1.0);
    let areas: Vec<f64> = sizes.iter().map(|size| size * scale).collect();
    let mut placed = Vec::with_capacity(areas.len());
    let mut free = whole;
    let mut rest = areas.as_slice();
    while !rest.is_empty() {
        let side = free.width.min(free.height);
        let mut count = 1;
        while count < rest.len() && worst(&rest[..=count], side) <= worst(&rest[..count], side) {
            count += 1;
        }
        let (row, after) = rest.split_at(count);
        free = lay(row, free, &mut placed);
        rest = after;
    }
    placed
}

/// How far from square the worst rectangle of a row along `side` is.
fn worst(row: &[f64], side: f64) -> f64 {
    let sum: f64 = row.iter().sum();
    let long = row.iter().copied().fold(0.0, f64::max);
    let short = row.iter().copied().fold(f64::MAX, f64::min);
    let (side, sum) = (side * side, sum * sum);
    (side * long / sum).max(sum / (side * short))
}

/// Puts a row along the shorter side; returns what stays free.
fn lay(row: &[f64], free: Rect, placed: &mut Vec<Rect>) -> Rect {
    let sum: f64 = row.iter().sum();
    let upright = free.width >= free.height;
    let side = if upright { free.height } else { free.width };
    let depth = if side > 0.0 { sum / side } else { 0.0 };
    let mut at = 0.0;
    for area in row {
        let length = if depth > 0.0 { area / depth } else { 0.0 };
        placed.push(match upright {
            true => Rect {
                x: free.x,
                y: free.y + at,
                width: depth,
                height: length,
            },
            false => Rect {
                x: free.x + at,
                y: free.y,
                width: length,
                height: depth,
            },
        });
        at += length;
    }
    match upright {
        true => Rect {
            x: free.x + depth,
            width: (free.width - depth).max(0.0),
            ..free
        },
        false => Rect {
            y: free.y + depth,
            height: (free.height - depth).max(0.0),
            ..free
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WHOLE: Rect = Rect {
        x: 0.0,
        y: 0.0,
        width: 6.0,
        height: 4.0,
    };

    #[test]
    fn areas_are_weights_and_fill_the_whole() {
        let weights = [6, 6, 4, 3, 2, 2, 1];
        let rects = squarify(&weights, WHOLE);
        for (rect, weight) in rects.iter().zip(weights) {
            let area = rect.width * rect.height;
            assert!((area - f64::from(weight as u32)).abs() < 1e-9, "{rect:?}");
            assert!(rect.x >= 0.0 && rect.x + rect.width <= 6.0 + 1e-9);
            assert!(rect.y >= 0.0 && rect.y + rect.height <= 4.0 + 1e-9);
        }
        // The example of the paper: the first two stand over each other.
        assert!((rects[0].width - 3.0).abs() < 1e-9 && (rects[0].height - 2.0).abs() < 1e-9);
    }

    #[test]
    fn nothing_breaks_it() {
        assert!(squarify(&[], WHOLE).is_empty());
        for weights in [&[0, 0, 0][..], &[u64::MAX, 1, 0]] {
            let flat = Rect {
                height: 0.0,
                ..WHOLE
            };
            for whole in [WHOLE, flat] {
                let rects = squarify(weights, whole);
                assert_eq!(rects.len(), weights.len());
                assert!(
                    rects
                        .iter()
                        .all(|r| r.width.is_finite() && r.height.is_finite())
                );
            }
        }
    }
}
