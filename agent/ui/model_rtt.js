// Round-trip times from Vivaldi coordinates (Dabek et al. 2004, 5.4, with Serf's height and adjustment): distances in ms,
// who is far away, and a flat picture. Pure.

// ms between two coordinates, as `rollcall rtt` says it.
export function distance(a, b) {
  let sum = 0;
  for (let i = 0; i < a.Vec.length; i++) sum += (a.Vec[i] - b.Vec[i]) ** 2;
  const plain = Math.sqrt(sum) + a.Height + b.Height;
  const adjusted = plain + a.Adjustment + b.Adjustment;
  return (adjusted > 0 ? adjusted : plain) * 1000;
}

// "0.13 ms", "12.4 ms", "250 ms".
export function ms(value) {
  if (value === null || value === undefined || Number.isNaN(value)) return "–";
  return `${value >= 100 ? value.toFixed(0) : value >= 10 ? value.toFixed(1) : value.toFixed(2)} ms`;
}

const SAMPLES = 128; // others that the typical time is taken from: 1,000 nodes stay within some ms

// For each node {Node, Coord}: its time from `from`, and the median to the others; slowest first.
export function times(nodes, from) {
  const origin = nodes.find((node) => node.Node === from);
  const step = Math.max(1, Math.ceil(nodes.length / SAMPLES));
  const out = nodes.map((node) => {
    const others = [];
    for (let i = 0; i < nodes.length; i += step) if (nodes[i] !== node) others.push(distance(node.Coord, nodes[i].Coord));
    const sorted = Float64Array.from(others).sort();
    return {
      node: node.Node,
      from: node === origin ? 0 : origin ? distance(node.Coord, origin.Coord) : null,
      typical: sorted.length > 0 ? sorted[sorted.length >> 1] : null,
      height: node.Coord.Height * 1000,
      error: node.Coord.Error,
    };
  });
  return out.sort((a, b) => b.typical - a.typical || (a.node < b.node ? -1 : 1));
}

// The two directions in which points differ most: eigenvectors of their covariance by Jacobi rotations. What classical
// scaling of the distances between the vectors gives, in 8 x 8 instead of n x n. Always the same picture for the same points.
function axes(points) {
  const size = points[0].length;
  const a = Array.from({ length: size }, (_, i) =>
    Array.from({ length: size }, (_, j) => points.reduce((sum, p) => sum + p[i] * p[j], 0)));
  const v = a.map((row, i) => row.map((_, j) => (i === j ? 1 : 0)));
  for (let sweep = 0; sweep < 30; sweep++) {
    for (let p = 0; p < size; p++) {
      for (let q = p + 1; q < size; q++) {
        if (Math.abs(a[p][q]) < 1e-30) continue;
        const theta = (a[q][q] - a[p][p]) / (2 * a[p][q]);
        const t = (theta >= 0 ? 1 : -1) / (Math.abs(theta) + Math.hypot(theta, 1));
        const c = 1 / Math.hypot(t, 1);
        const s = t * c;
        for (let k = 0; k < size; k++) [a[k][p], a[k][q]] = [c * a[k][p] - s * a[k][q], s * a[k][p] + c * a[k][q]];
        for (let k = 0; k < size; k++) [a[p][k], a[q][k]] = [c * a[p][k] - s * a[q][k], s * a[p][k] + c * a[q][k]];
        for (let k = 0; k < size; k++) [v[k][p], v[k][q]] = [c * v[k][p] - s * v[k][q], s * v[k][p] + c * v[k][q]];
      }
    }
  }
  const order = a.map((row, i) => [row[i], i]).sort((x, y) => y[0] - x[0]);
  const total = order.reduce((sum, [value]) => sum + Math.max(value, 0), 0);
  const chosen = order.slice(0, 2).map(([, i]) => {
    const axis = v.map((row) => row[i]);
    const largest = axis.reduce((best, x) => (Math.abs(x) > Math.abs(best) + 1e-12 ? x : best), 0);
    return largest < 0 ? axis.map((x) => -x) : axis; // a sign of its own would mirror the picture now and then
  });
  return { chosen, kept: total > 0 ? (order[0][0] + Math.max(order[1][0], 0)) / total : 1 };
}

// Where each node is drawn, in ms: {node, x, y, height}; `kept`: the share of the differences that two axes can show.
export function project(nodes) {
  if (nodes.length === 0) return { points: [], kept: 1 };
  const size = nodes[0].Coord.Vec.length;
  const middle = Array.from({ length: size }, (_, i) => nodes.reduce((sum, n) => sum + n.Coord.Vec[i], 0) / nodes.length);
  const vectors = nodes.map((n) => n.Coord.Vec.map((x, i) => (x - middle[i]) * 1000));
  const { chosen, kept } = axes(vectors);
  const along = (vector, axis) => vector.reduce((sum, x, i) => sum + x * axis[i], 0);
  return {
    points: nodes.map((n, i) => ({
      node: n.Node, x: along(vectors[i], chosen[0]), y: along(vectors[i], chosen[1]), height: n.Coord.Height * 1000,
    })),
    kept,
  };
}

// 1, 2 or 5 times a power of ten, not above `value`: the length of a scale.
export function round(value) {
  if (!(value > 0)) return 1;
  const power = 10 ** Math.floor(Math.log10(value));
  return [5, 2, 1].map((n) => n * power).find((n) => n <= value * 1.0000001);
}
