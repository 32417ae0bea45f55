/** Cycles in the graph of imports. Decides; knows nothing of files. */

/**
 * Finds files that import each other in a ring.
 *
 * @param edges for each file the files that it imports
 * @returns one shortest ring for each file set that hangs together, first file repeated at the end: `[a, b, a]`
 */
export function findCycles(edges: ReadonlyMap<string, readonly string[]>): string[][] {
  const seen = new Set<string>();
  const cycles: string[][] = [];
  for (const start of edges.keys()) {
    if (seen.has(start)) continue;
    const cycle = shortestPathBack(start, edges);
    if (!cycle) continue;
    for (const path of cycle) seen.add(path);
    cycles.push(cycle);
  }
  return cycles;
}

/** Breadth first from `start` until an import leads back to it. */
function shortestPathBack(start: string, edges: ReadonlyMap<string, readonly string[]>): string[] | null {
  const cameFrom = new Map<string, string>();
  const queue = [start];
  for (const at of queue) {
    for (const next of edges.get(at) ?? []) {
      if (next === start) return [...trail(at, start, cameFrom), start];
      if (cameFrom.has(next)) continue;
      cameFrom.set(next, at);
      queue.push(next);
    }
  }
  return null;
}

function trail(end: string, start: string, cameFrom: ReadonlyMap<string, string>): string[] {
  const path = [end];
  for (let at = end; at !== start; path.unshift(at)) {
    const previous = cameFrom.get(at);
    if (previous === undefined) break;
    at = previous;
  }
  return path;
}
