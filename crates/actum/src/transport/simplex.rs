//! The network simplex on the transportation polytope (Ahuja, Magnanti & Orlin, *Network Flows*,
//! 1993, chapter 11).
//!
//! A basis is a spanning tree of the rows and columns. Arcs go from a row to a column and have no
//! upper bound, so the direction of a tree arc follows from whether its lower end is a row or a
//! column. Masses are integers, so degenerate pivots are recognised exactly. The tree is kept
//! *strongly feasible* (every arc of zero flow points to the root), which excludes cycling
//! (Cunningham, 1976).

use crate::{error::Result, stop::Stop};

const NONE: u32 = u32::MAX;
/// Every how many pivots, of up to a tenth of a millisecond each, the stop is looked at.
const LOOK: usize = 64;

/// An arc that may enter the basis.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Arc {
    pub row: u32,
    pub column: u32,
    pub cost: f64,
}

/// A row (index below n) or a column (index n + j) with the arc to its parent.
#[derive(Clone, Copy)]
struct Node {
    parent: u32,
    previous: u32,
    /// The number of nodes of its subtree, including itself.
    size: u32,
    flow: i64,
    cost: f64,
}

/// The links that a walk over a subtree reads, stored apart from the rest so that they stay in
/// cache.
#[derive(Clone, Copy)]
struct Down {
    first_child: u32,
    next: u32,
}

/// A spanning tree, its flows and its potentials: `u_i + v_j = c_ij` on every arc of it.
pub(super) struct Tree {
    rows: usize,
    nodes: Vec<Node>,
    down: Vec<Down>,
    potential: Vec<f64>,
    root: u32,
    queue: Vec<u32>,
}

impl Tree {
    /// The tree of these arcs and flows.
    ///
    /// `links` are n + m - 1 arcs that span all nodes. An arc of zero flow points to the root,
    /// which is column 0.
    pub fn new(rows: usize, columns: usize, links: &[(Arc, i64)]) -> Self {
        let count = rows + columns;
        let mut start = vec![0u32; count + 1];
        for (arc, _) in links {
            start[arc.row as usize + 1] += 1;
            start[rows + arc.column as usize + 1] += 1;
        }
        for x in 0..count {
            start[x + 1] += start[x];
        }
        let mut fill = start.clone();
        let mut incident = vec![0u32; 2 * links.len()];
        for (at, (arc, _)) in links.iter().enumerate() {
            for x in [arc.row as usize, rows + arc.column as usize] {
                incident[fill[x] as usize] = at as u32;
                fill[x] += 1;
            }
        }
        let alone = Node {
            parent: NONE,
            previous: NONE,
            size: 1,
            flow: 0,
            cost: 0.0,
        };
        let leaf = Down {
            first_child: NONE,
            next: NONE,
        };
        let root = rows as u32;
        let mut tree = Self {
            rows,
            nodes: vec![alone; count],
            down: vec![leaf; count],
            potential: vec![0.0; count],
            root,
            queue: vec![0; count + 1],
        };
        let mut order = vec![root];
        let mut head = 0;
        while head < order.len() {
            let x = order[head];
            head += 1;
            for &at in &incident[start[x as usize] as usize..start[x as usize + 1] as usize] {
                let (arc, flow) = links[at as usize];
                let column = root + arc.column;
                let other = if arc.row == x { column } else { arc.row };
                if other != tree.nodes[x as usize].parent {
                    tree.attach(other, x, flow, arc.cost);
                    order.push(other);
                }
            }
        }
        for &x in order[1..].iter().rev() {
            let node = tree.nodes[x as usize];
            tree.nodes[node.parent as usize].size += node.size;
        }
        tree.refresh();
        tree
    }

    /// The potentials of the rows [n] and of the columns [m].
    pub fn potentials(&self) -> (&[f64], &[f64]) {
        self.potential.split_at(self.rows)
    }

    /// The entries (row, column, mass) of positive mass.
    pub fn flows(&self) -> impl Iterator<Item = (usize, usize, i64)> + '_ {
        let positive = |(x, node): (usize, &Node)| {
            let parent = node.parent as usize;
            let (row, column) = if x < self.rows {
                (x, parent)
            } else {
                (parent, x)
            };
            (node.flow > 0).then(|| (row, column - self.rows, node.flow))
        };
        self.nodes.iter().enumerate().filter_map(positive)
    }

    /// Pivots until no arc of `arcs` has a reduced cost `c - u - v` below `-tolerance`, at most
    /// `limit` times. Returns the number of pivots; an error if it was stopped.
    pub fn optimise(
        &mut self,
        arcs: &[Arc],
        tolerance: f64,
        limit: usize,
        stop: &Stop,
    ) -> Result<usize> {
        let block = (3.0 * (arcs.len() as f64).sqrt()).ceil() as usize;
        let mut cursor = 0;
        for pivots in 0..limit {
            if pivots.is_multiple_of(LOOK) {
                stop.check()?;
            }
            let mut best = -tolerance;
            let mut entering = None;
            let mut looked = 0;
            while looked < arcs.len() && entering.is_none() {
                let end = (cursor + block).min(arcs.len());
                for arc in &arcs[cursor..end] {
                    let reduced = arc.cost
                        - self.potential[arc.row as usize]
                        - self.potential[self.rows + arc.column as usize];
                    if reduced < best {
                        best = reduced;
                        entering = Some(arc);
                    }
                }
                looked += end - cursor;
                cursor = if end == arcs.len() { 0 } else { end };
            }
            match entering {
                Some(arc) => self.pivot(arc, best),
                None => return Ok(pivots),
            }
        }
        Ok(limit)
    }

    /// Brings `arc`, which has the given reduced cost, into the basis.
    fn pivot(&mut self, arc: &Arc, reduced: f64) {
        let (row, column) = (arc.row, self.rows as u32 + arc.column);
        let join = self.join(row, column);

        // The leaving arc is the last blocking one on the cycle from the join along the entering
        // arc: this choice keeps the tree strongly feasible.
        let mut step = i64::MAX;
        let mut leaving = NONE;
        let mut below_row = true;
        let mut x = row;
        while x != join {
            let node = &self.nodes[x as usize];
            if (x as usize) < self.rows && node.flow < step {
                (step, leaving) = (node.flow, x);
            }
            x = node.parent;
        }
        x = column;
        while x != join {
            let node = &self.nodes[x as usize];
            if x as usize >= self.rows && node.flow <= step {
                (step, leaving, below_row) = (node.flow, x, false);
            }
            x = node.parent;
        }

        if step > 0 {
            for (from, rows_lose) in [(row, true), (column, false)] {
                let mut x = from;
                while x != join {
                    let is_row = (x as usize) < self.rows;
                    let node = &mut self.nodes[x as usize];
                    node.flow += if is_row == rows_lose { -step } else { step };
                    x = node.parent;
                }
            }
        }

        let (top, under) = if below_row {
            (row, column)
        } else {
            (column, row)
        };
        let size = self.nodes[leaving as usize].size;
        let mut x = self.nodes[leaving as usize].parent;
        while x != join {
            self.nodes[x as usize].size -= size;
            x = self.nodes[x as usize].parent;
        }
        x = under;
        while x != join {
            self.nodes[x as usize].size += size;
            x = self.nodes[x as usize].parent;
        }

        // Adding a constant to u and subtracting it from v changes no reduced cost, so the smaller
        // of the two parts is updated.
        let raise = if below_row { reduced } else { -reduced };
        self.detach(leaving);
        if 2 * size as usize > self.nodes.len() {
            self.shift(self.root, -raise);
        } else {
            self.shift(leaving, raise);
        }

        let (mut x, mut parent, mut flow, mut cost) = (top, under, step, arc.cost);
        let mut below = size;
        loop {
            let old = self.nodes[x as usize];
            if x != leaving {
                self.detach(x);
            }
            self.attach(x, parent, flow, cost);
            self.nodes[x as usize].size = below;
            if x == leaving {
                break;
            }
            (parent, flow, cost, below) = (x, old.flow, old.cost, size - old.size);
            x = old.parent;
        }
    }

    /// The lowest common ancestor: the smaller of two subtrees cannot contain the other.
    fn join(&self, mut x: u32, mut y: u32) -> u32 {
        while x != y {
            let (a, b) = (&self.nodes[x as usize], &self.nodes[y as usize]);
            if a.size < b.size {
                x = a.parent;
            } else {
                y = b.parent;
            }
        }
        x
    }

    /// Adds `raise` to the rows of the tree of `top` and subtracts it from its columns.
    fn shift(&mut self, top: u32, raise: f64) {
        // Most of the time of a solve is spent here. Queueing the first child and the next sibling
        // of a node, and counting only those that exist, leaves no branch to mispredict.
        self.queue[0] = top;
        let (mut head, mut end) = (0, 1);
        while head < end {
            let x = self.queue[head] as usize;
            head += 1;
            let down = self.down[x];
            self.potential[x] += if x < self.rows { raise } else { -raise };
            self.queue[end] = down.first_child;
            end += usize::from(down.first_child != NONE);
            self.queue[end] = down.next;
            end += usize::from(down.next != NONE);
        }
    }

    /// Recomputes the potentials, which removes the rounding errors of many updates.
    pub fn refresh(&mut self) {
        self.potential[self.root as usize] = 0.0;
        let mut stack = vec![self.root];
        while let Some(x) = stack.pop() {
            let mut child = self.down[x as usize].first_child;
            while child != NONE {
                self.potential[child as usize] =
                    self.nodes[child as usize].cost - self.potential[x as usize];
                stack.push(child);
                child = self.down[child as usize].next;
            }
        }
    }

    fn attach(&mut self, x: u32, parent: u32, flow: i64, cost: f64) {
        let next = self.down[parent as usize].first_child;
        let node = &mut self.nodes[x as usize];
        (node.parent, node.previous, node.flow, node.cost) = (parent, NONE, flow, cost);
        self.down[x as usize].next = next;
        if next != NONE {
            self.nodes[next as usize].previous = x;
        }
        self.down[parent as usize].first_child = x;
    }

    fn detach(&mut self, x: u32) {
        let Node {
            parent, previous, ..
        } = self.nodes[x as usize];
        let next = self.down[x as usize].next;
        if next != NONE {
            self.nodes[next as usize].previous = previous;
        }
        if previous != NONE {
            self.down[previous as usize].next = next;
        } else {
            self.down[parent as usize].first_child = next;
        }
        self.down[x as usize].next = NONE;
    }
}
