import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";

/** Files of one folder. */
const FILES_PER_FOLDER = 100;
/** With their methods and functions some 140 lines, an ordinary source file. */
const CLASSES_PER_FILE = 5;
const METHODS_PER_CLASS = 4;

/**
 * Writes `count` Python modules below `root` that import and call each other.
 *
 * @returns their paths, relative to `root`; those of the same number are the same in every run.
 */
export function writeSourceFiles(root: string, count: number): string[] {
  const paths: string[] = [];
  for (let index = 0; index < count; index++) {
    const folder = `part_${Math.floor(index / FILES_PER_FOLDER)}`;
    if (index % FILES_PER_FOLDER === 0) mkdirSync(join(root, folder));
    const path = `${folder}/module_${index}.py`;
    writeFileSync(join(root, path), moduleText(index, count));
    paths.push(path);
  }
  return paths;
}

function moduleText(index: number, count: number): string {
  const other = (index + 1) % count;
  const classes = Array.from({ length: CLASSES_PER_FILE }, (_, number) => classText(index, number));
  return `"""Module ${index}."""

from part_${Math.floor(other / FILES_PER_FOLDER)}.module_${other} import scale_${other}


def scale_${index}(value, factor=2):
    """Scales a value."""
    return value * factor
${classes.join("")}`;
}

function classText(index: number, number: number): string {
  const base = number === 0 ? "" : `(Shape_${index}_${number - 1})`;
  const methods = Array.from(
    { length: METHODS_PER_CLASS },
    (_, method) => `
    def measure_${method}(self, width, height=1):
        """Measures in way ${method}."""
        if width > height:
            return scale_${index}(width * height, factor=${method})
        return self.measure_${(method + 1) % METHODS_PER_CLASS}(height, width)
`,
  );
  return `

class Shape_${index}_${number}${base}:
    """Shape ${number} of module ${index}."""
${methods.join("")}`;
}
