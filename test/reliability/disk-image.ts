import { execFileSync, spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** The file systems that the experiment knows, with how one is made and mounted. */
const FILE_SYSTEMS = {
  ext4: { make: ["mkfs.ext4", "-q", "-F"], mountOptions: "loop" },
  // A copy has the same id as the original, which is mounted at the same time.
  xfs: { make: ["mkfs.xfs", "-q", "-f"], mountOptions: "loop,nouuid" },
} as const;
export type FileSystem = keyof typeof FILE_SYSTEMS;

const IMAGE_BYTES = 400 * 2 ** 20; // mkfs.xfs takes no less than 300 MB
/** All images are sparse. */
const STORE_BYTES = 64 * 2 ** 30;

/** Why there can be no images of disks here, or null when there can. */
export function whyNoDiskImages(): string | null {
  if (process.getuid?.() !== 0) return "mounting images of disks needs root";
  const missing = ["mkfs.ext4", "mkfs.xfs", "losetup"].find((it) => spawnSync(it, ["-V"]).error !== undefined);
  if (missing !== undefined) return `${missing} is not installed`;
  const { status, stderr } = spawnSync("losetup", ["--find"], { encoding: "utf8" });
  return status === 0 ? null : `there is no loop device: ${stderr.trim()}`;
}

/**
 * A disk whose power can be cut: an image of a file system, mounted. The image lies on a second file system, an XFS image, whose
 * `cp --reflink` copies it at one instant. The copy has what had been written to the device; what the kernel still had in
 * memory, as at a power loss, it has not.
 */
export class DiskImage {
  /** Where the disk is mounted. */
  readonly folder: string;
  readonly #fileSystem: FileSystem;
  readonly #root: string;
  readonly #store: string;
  readonly #mounted: string[] = [];
  #copies = 0;

  constructor(fileSystem: FileSystem) {
    this.#fileSystem = fileSystem;
    this.#root = mkdtempSync(join(tmpdir(), "cad-disk-"));
    const storeImage = join(this.#root, "store.img");
    make("xfs", storeImage, STORE_BYTES);
    this.#store = this.#mount("xfs", storeImage);
    const image = join(this.#store, "disk.img");
    make(fileSystem, image, IMAGE_BYTES);
    this.folder = this.#mount(fileSystem, image);
  }

  /** The disk as it would be after a power loss at this instant: the path of its image. */
  snapshot(): string {
    const copy = join(this.#store, `copy-${++this.#copies}.img`);
    execFileSync("cp", ["--reflink=always", join(this.#store, "disk.img"), copy]);
    return copy;
  }

  /** Mounts a snapshot for as long as `body` runs, which gets the folder. */
  async withSnapshot<T>(image: string, body: (folder: string) => Promise<T>): Promise<T> {
    const folder = this.#mount(this.#fileSystem, image);
    try {
      return await body(folder);
    } finally {
      this.#unmountLast();
      rmSync(image);
    }
  }

  remove(): void {
    while (this.#mounted.length > 0) this.#unmountLast();
    rmSync(this.#root, { recursive: true });
  }

  #mount(fileSystem: FileSystem, image: string): string {
    const folder = join(this.#root, `mount-${this.#mounted.length}`);
    mkdirSync(folder, { recursive: true });
    execFileSync("mount", ["-t", fileSystem, "-o", FILE_SYSTEMS[fileSystem].mountOptions, image, folder]);
    this.#mounted.push(folder);
    return folder;
  }

  #unmountLast(): void {
    const folder = this.#mounted.pop();
    if (folder !== undefined) execFileSync("umount", [folder]);
  }
}

function make(fileSystem: FileSystem, image: string, bytes: number): void {
  writeFileSync(image, "");
  truncateSync(image, bytes);
  const [program, ...args] = FILE_SYSTEMS[fileSystem].make;
  execFileSync(program, [...args, image], { stdio: "pipe" });
}
