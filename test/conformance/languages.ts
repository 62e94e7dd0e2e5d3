import { fileURLToPath } from "node:url";

/** A program and its arguments. */
export type Command = readonly [program: string, ...args: string[]];

/** A language that has a client under `examples/`, with a runner of the scenario beside it. */
export interface Language {
  /** The name of its folder. */
  readonly name: string;
  /** Commands that succeed where the toolchain is there and new enough. */
  readonly toolchain: readonly Command[];
  /** Run in its folder, one after the other. */
  readonly build: readonly Command[];
  /** The programs, to which their arguments are added. */
  readonly example: Command;
  readonly conformance: Command;
  /** Not every language has one: a load needs three. */
  readonly load?: Command;
}

/** The commands of the READMEs under `examples/`. */
export const LANGUAGES: readonly Language[] = [
  {
    name: "typescript",
    toolchain: [["npm", "--version"]],
    build: [
      ["npm", "install", "--no-audit", "--no-fund", "--prefer-offline"],
      ["npm", "run", "build"],
    ],
    example: ["node", "build/example.js"],
    conformance: ["node", "build/conformance.js"],
    load: ["node", "build/load.js"],
  },
  {
    name: "python",
    toolchain: [["python3", "-c", "import ensurepip, sys; sys.exit(sys.version_info < (3, 9))"]],
    build: [
      ["python3", "-m", "venv", ".venv"],
      [".venv/bin/pip", "install", "--quiet", "--disable-pip-version-check", "-r", "requirements.txt"],
      [".venv/bin/python", "generate.py"],
    ],
    example: [".venv/bin/python", "example.py"],
    conformance: [".venv/bin/python", "conformance.py"],
    load: [".venv/bin/python", "load.py"],
  },
  {
    name: "go",
    // Fails where go.mod asks for a newer Go than there is and than `go` can get.
    toolchain: [["go", "list", "-m"]],
    build: [
      ["go", "generate", "."],
      ["go", "build", "-o", "build/", "./cmd/..."],
    ],
    example: ["build/example"],
    conformance: ["build/conformance"],
    load: ["build/load"],
  },
  {
    name: "rust",
    // `rust-version` of Cargo.toml, which Cargo itself compares only when it has fetched all dependencies.
    toolchain: [
      ["cargo", "--version"],
      ["sh", "-c", `printf "1.88\\n$(cargo --version | cut -d' ' -f2)" | sort -V -C`],
    ],
    build: [["cargo", "build", "--release", "--quiet"]],
    example: ["target/release/example"],
    conformance: ["target/release/conformance"],
  },
  {
    name: "java",
    toolchain: [
      ["mvn", "--version"],
      ["javac", "--release", "17", "--version"],
    ],
    build: [["mvn", "--quiet", "--batch-mode", "package"]],
    example: ["java", "-cp", "target/classes:target/dependency/*", "example.Example"],
    conformance: ["java", "-cp", "target/classes:target/dependency/*", "example.Conformance"],
  },
  {
    name: "cpp",
    toolchain: [
      ["cmake", "--version"],
      ["c++", "--version"],
      ["sh", "-c", "command -v grpc_cpp_plugin"],
      ["pkg-config", "--exists", "grpc++"],
    ],
    build: [
      ["cmake", "-S", ".", "-B", "build", "-DCMAKE_BUILD_TYPE=Release"],
      ["cmake", "--build", "build", "--parallel", "2"],
    ],
    example: ["build/example"],
    conformance: ["build/conformance"],
  },
];

/** The folder of a language's client. */
export function folderOf({ name }: Language): string {
  return fileURLToPath(new URL(`../../../examples/${name}`, import.meta.url));
}
