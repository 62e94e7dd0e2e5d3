import { dumpIndex, IndexedProject } from "./indexed-project.js";

/** Indexes files and answers the edges as `caller -type-> callee`, each end as `path:name`. */
export async function edgesOf(files: Readonly<Record<string, string>>): Promise<string[]> {
  const project = new IndexedProject();
  await project.index(Object.entries(files));
  const edges = edgesIn(project);
  project.close();
  return edges;
}

/** All edges of an index, sorted. */
export function edgesIn(project: IndexedProject): string[] {
  return (dumpIndex(project.connection).entity_cross_ref ?? [])
    .map((json) => {
      const { caller, callee, ref_type: type }: Record<string, string> = JSON.parse(json);
      return `${shorten(caller)} -${type}-> ${shorten(callee)}`;
    })
    .sort();
}

function shorten(end = ""): string {
  const [path, , scope, name] = end.split(":");
  return `${path}:${scope === "" || scope === "-" ? "" : `${scope}.`}${name}`;
}
