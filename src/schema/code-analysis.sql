-- The built-in schema: what the driver creates when it is missing and what `config_cli schema` migrates to by default.
--
-- Names, types, keys, defaults and indexes are those of existing code-analysis databases: the driver serves such a database
-- as it is. What the driver needs beyond them stands in tables of its own, indexed_files, extractions, external_uses and symbols,
-- because it creates tables that are missing but alters none. Tables that IndexFile does not fill belong to other services of
-- an installation and are only declared. Times in *_at columns are Julian days.

-- Settings that belong to the database rather than to a program.
CREATE TABLE db_settings (
  key TEXT PRIMARY KEY NOT NULL,
  value TEXT NOT NULL,
  updated_at REAL DEFAULT (julianday('now'))
);

-- Directories whose projects are watched.
CREATE TABLE watch_dirs (
  id TEXT PRIMARY KEY NOT NULL,
  name TEXT,
  created_at REAL DEFAULT (julianday('now')),
  updated_at REAL DEFAULT (julianday('now'))
);

-- Where a watched directory lies on this machine.
CREATE TABLE watch_dir_paths (
  watch_dir_id TEXT PRIMARY KEY NOT NULL,
  absolute_path TEXT,
  created_at REAL DEFAULT (julianday('now')),
  updated_at REAL DEFAULT (julianday('now')),
  FOREIGN KEY (watch_dir_id) REFERENCES watch_dirs (id) ON DELETE CASCADE
);

-- A project is a root directory with an id.
CREATE TABLE projects (
  id TEXT PRIMARY KEY NOT NULL,
  root_path TEXT NOT NULL,
  name TEXT,
  comment TEXT,
  watch_dir_id TEXT,
  created_at REAL DEFAULT (julianday('now')),
  updated_at REAL DEFAULT (julianday('now')),
  FOREIGN KEY (watch_dir_id) REFERENCES watch_dirs (id) ON DELETE SET NULL,
  UNIQUE (root_path)
);
CREATE INDEX idx_projects_root_path ON projects (root_path);

-- One row per file. Other services of an installation read deleted, and set needs_chunking to have a file indexed again.
CREATE TABLE files (
  id INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL,
  project_id TEXT NOT NULL,
  watch_dir_id TEXT,
  path TEXT NOT NULL,
  relative_path TEXT,
  lines INTEGER,
  last_modified REAL,
  has_docstring BOOLEAN,
  deleted BOOLEAN DEFAULT 0,
  original_path TEXT,
  version_dir TEXT,
  needs_chunking INTEGER DEFAULT 0,
  created_at REAL DEFAULT (julianday('now')),
  updated_at REAL DEFAULT (julianday('now')),
  FOREIGN KEY (project_id) REFERENCES projects (id) ON DELETE CASCADE,
  FOREIGN KEY (watch_dir_id) REFERENCES watch_dirs (id) ON DELETE SET NULL,
  UNIQUE (project_id, path)
);
CREATE INDEX idx_files_project ON files (project_id);
CREATE INDEX idx_files_path ON files (path);
CREATE INDEX idx_files_deleted ON files (deleted) WHERE deleted = 1;
CREATE INDEX idx_files_updated_at ON files (updated_at);
CREATE INDEX idx_files_needs_indexing ON files (project_id, updated_at)
  WHERE (deleted = 0 OR deleted IS NULL) AND needs_chunking = 1;

-- The files whose rows the driver has written, and what it made them from, so that an unchanged file is recognised without
-- parsing it. content_hash: SHA-256 of the bytes as read; size: their number; language: NULL where it is stored as text only.
CREATE TABLE indexed_files (
  file_id INTEGER PRIMARY KEY NOT NULL,
  content_hash TEXT NOT NULL,
  size INTEGER NOT NULL,
  language TEXT,
  FOREIGN KEY (file_id) REFERENCES files (id) ON DELETE CASCADE
);

-- What made the rows of a file, and what it stumbled over. rules: names the version of grammar, queries and programs; a file
-- with other rules than the driver's is made anew. problem_line: the line of the file's syntax_error or decode_error in
-- indexing_errors; NULL where it has none.
CREATE TABLE extractions (
  file_id INTEGER PRIMARY KEY NOT NULL,
  rules TEXT NOT NULL,
  problem_line INTEGER,
  FOREIGN KEY (file_id) REFERENCES files (id) ON DELETE CASCADE
);

-- Every class-like definition. bases: JSON list of source spellings.
CREATE TABLE classes (
  id INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL,
  file_id INTEGER NOT NULL,
  name TEXT NOT NULL,
  line INTEGER NOT NULL,
  end_line INTEGER,
  docstring TEXT,
  bases TEXT,
  created_at REAL DEFAULT (julianday('now')),
  FOREIGN KEY (file_id) REFERENCES files (id) ON DELETE CASCADE,
  UNIQUE (file_id, name, line)
);
CREATE INDEX idx_classes_name ON classes (name);
CREATE INDEX idx_classes_file ON classes (file_id);

-- Definitions directly in the body of a class. args: JSON list of parameter names.
CREATE TABLE methods (
  id INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL,
  class_id INTEGER NOT NULL,
  name TEXT NOT NULL,
  line INTEGER NOT NULL,
  end_line INTEGER,
  args TEXT,
  docstring TEXT,
  is_abstract BOOLEAN DEFAULT 0,
  has_pass BOOLEAN DEFAULT 0,
  has_not_implemented BOOLEAN DEFAULT 0,
  complexity INTEGER,
  created_at REAL DEFAULT (julianday('now')),
  FOREIGN KEY (class_id) REFERENCES classes (id) ON DELETE CASCADE,
  UNIQUE (class_id, name, line)
);
CREATE INDEX idx_methods_name ON methods (name);
CREATE INDEX idx_methods_class ON methods (class_id);

-- Every other definition. args: JSON list of parameter names.
CREATE TABLE functions (
  id INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL,
  file_id INTEGER NOT NULL,
  name TEXT NOT NULL,
  line INTEGER NOT NULL,
  end_line INTEGER,
  args TEXT,
  docstring TEXT,
  complexity INTEGER,
  created_at REAL DEFAULT (julianday('now')),
  FOREIGN KEY (file_id) REFERENCES files (id) ON DELETE CASCADE,
  UNIQUE (file_id, name, line)
);
CREATE INDEX idx_functions_name ON functions (name);
CREATE INDEX idx_functions_file ON functions (file_id);

-- Call, instantiation and inheritance edges: exactly one caller and one callee column is set.
CREATE TABLE entity_cross_ref (
  id INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL,
  caller_class_id INTEGER,
  caller_method_id INTEGER,
  caller_function_id INTEGER,
  callee_class_id INTEGER,
  callee_method_id INTEGER,
  callee_function_id INTEGER,
  ref_type TEXT NOT NULL,
  file_id INTEGER,
  line INTEGER,
  created_at REAL DEFAULT (julianday('now')),
  FOREIGN KEY (caller_class_id) REFERENCES classes (id) ON DELETE CASCADE,
  FOREIGN KEY (caller_method_id) REFERENCES methods (id) ON DELETE CASCADE,
  FOREIGN KEY (caller_function_id) REFERENCES functions (id) ON DELETE CASCADE,
  FOREIGN KEY (callee_class_id) REFERENCES classes (id) ON DELETE CASCADE,
  FOREIGN KEY (callee_method_id) REFERENCES methods (id) ON DELETE CASCADE,
  FOREIGN KEY (callee_function_id) REFERENCES functions (id) ON DELETE CASCADE,
  FOREIGN KEY (file_id) REFERENCES files (id) ON DELETE SET NULL
);
CREATE INDEX idx_entity_cross_ref_caller_class ON entity_cross_ref (caller_class_id) WHERE caller_class_id IS NOT NULL;
CREATE INDEX idx_entity_cross_ref_caller_method ON entity_cross_ref (caller_method_id)
  WHERE caller_method_id IS NOT NULL;
CREATE INDEX idx_entity_cross_ref_caller_function ON entity_cross_ref (caller_function_id)
  WHERE caller_function_id IS NOT NULL;
CREATE INDEX idx_entity_cross_ref_callee_class ON entity_cross_ref (callee_class_id) WHERE callee_class_id IS NOT NULL;
CREATE INDEX idx_entity_cross_ref_callee_method ON entity_cross_ref (callee_method_id)
  WHERE callee_method_id IS NOT NULL;
CREATE INDEX idx_entity_cross_ref_callee_function ON entity_cross_ref (callee_function_id)
  WHERE callee_function_id IS NOT NULL;
CREATE INDEX idx_entity_cross_ref_file ON entity_cross_ref (file_id);

-- One row per imported name.
CREATE TABLE imports (
  id INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL,
  file_id INTEGER NOT NULL,
  name TEXT NOT NULL,
  module TEXT,
  import_type TEXT NOT NULL,
  line INTEGER NOT NULL,
  created_at REAL DEFAULT (julianday('now')),
  FOREIGN KEY (file_id) REFERENCES files (id) ON DELETE CASCADE
);
CREATE INDEX idx_imports_file ON imports (file_id);
CREATE INDEX idx_imports_name ON imports (name);

-- Findings of other services.
CREATE TABLE issues (
  id INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL,
  file_id INTEGER,
  project_id TEXT,
  class_id INTEGER,
  function_id INTEGER,
  method_id INTEGER,
  issue_type TEXT NOT NULL,
  line INTEGER,
  description TEXT,
  metadata TEXT,
  created_at REAL DEFAULT (julianday('now')),
  FOREIGN KEY (file_id) REFERENCES files (id) ON DELETE CASCADE,
  FOREIGN KEY (project_id) REFERENCES projects (id) ON DELETE CASCADE,
  FOREIGN KEY (class_id) REFERENCES classes (id) ON DELETE CASCADE,
  FOREIGN KEY (function_id) REFERENCES functions (id) ON DELETE CASCADE,
  FOREIGN KEY (method_id) REFERENCES methods (id) ON DELETE CASCADE
);
CREATE INDEX idx_issues_type ON issues (issue_type);
CREATE INDEX idx_issues_file ON issues (file_id);
CREATE INDEX idx_issues_project ON issues (project_id);
-- So that deleting an entity does not read the whole table for the rows that hang on it. Existing databases lack these.
CREATE INDEX idx_issues_class ON issues (class_id) WHERE class_id IS NOT NULL;
CREATE INDEX idx_issues_function ON issues (function_id) WHERE function_id IS NOT NULL;
CREATE INDEX idx_issues_method ON issues (method_id) WHERE method_id IS NOT NULL;

-- Calls and instantiations as written, resolved or not.
CREATE TABLE usages (
  id INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL,
  file_id INTEGER NOT NULL,
  line INTEGER NOT NULL,
  usage_type TEXT NOT NULL,
  target_type TEXT NOT NULL,
  target_class TEXT,
  target_name TEXT NOT NULL,
  context TEXT,
  created_at REAL DEFAULT (julianday('now')),
  FOREIGN KEY (file_id) REFERENCES files (id) ON DELETE CASCADE
);
CREATE INDEX idx_usages_file ON usages (file_id);
CREATE INDEX idx_usages_target ON usages (target_type, target_name);
CREATE INDEX idx_usages_class_name ON usages (target_class, target_name);

-- Uses of names that their own file does not define, each of which may have an edge into another file; they are resolved
-- again when the definitions of the name change there.
-- number: counts the uses of a file. target_type: function, class or method for a call, base for a base class. caller_type and
-- caller_id: the innermost definition around the use. name, origin: what to look for, and the modules that may have it, NULL
-- when any may. edge_id: its row of entity_cross_ref, NULL without one. That row may be gone, since it goes
-- with its callee; its id never comes back.
CREATE TABLE external_uses (
  file_id INTEGER NOT NULL,
  number INTEGER NOT NULL,
  line INTEGER NOT NULL,
  target_type TEXT NOT NULL,
  caller_type TEXT NOT NULL,
  caller_id INTEGER NOT NULL,
  name TEXT NOT NULL,
  origin TEXT,
  edge_id INTEGER,
  PRIMARY KEY (file_id, number),
  FOREIGN KEY (file_id) REFERENCES files (id) ON DELETE CASCADE
) WITHOUT ROWID;
CREATE INDEX idx_external_uses_name ON external_uses (name, origin);

-- The text of each file and entity; code_content_fts below indexes it.
CREATE TABLE code_content (
  id INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL,
  file_id INTEGER NOT NULL,
  entity_type TEXT NOT NULL,
  entity_id INTEGER,
  entity_name TEXT,
  content TEXT NOT NULL,
  docstring TEXT,
  created_at REAL DEFAULT (julianday('now')),
  FOREIGN KEY (file_id) REFERENCES files (id) ON DELETE CASCADE
);
CREATE INDEX idx_code_content_file ON code_content (file_id);
CREATE INDEX idx_code_content_entity ON code_content (entity_type, entity_id);

-- Full text over code_content (https://sqlite.org/fts5.html#external_content_tables). There are no triggers: whoever deletes
-- a row of code_content deletes it here first, with its old values, else the index is corrupt. Where another program has made
-- triggers that do so, the driver leaves it to them.
CREATE VIRTUAL TABLE code_content_fts USING fts5(
  entity_type,
  entity_name,
  content,
  docstring,
  content = 'code_content',
  content_rowid = 'rowid'
);

-- The narrow side of code_content, row for row with the same id: what an entity is called and where it is. entity_type and
-- entity_id as there.
-- name: what a use of it writes, without its class. scope: '' at the top of a file, the class of a member, NULL where no other
-- file can name it (inside a function, or a file as a whole). words: the name and its parts (getUserName: get user name).
-- start_line: the first line of the text, which a decorator may put above line.
CREATE TABLE symbols (
  id INTEGER PRIMARY KEY NOT NULL,
  project_id TEXT NOT NULL,
  file_id INTEGER NOT NULL,
  entity_type TEXT NOT NULL,
  entity_id INTEGER NOT NULL,
  name TEXT NOT NULL,
  scope TEXT,
  words TEXT NOT NULL,
  start_line INTEGER NOT NULL,
  line INTEGER NOT NULL,
  end_line INTEGER NOT NULL,
  FOREIGN KEY (file_id) REFERENCES files (id) ON DELETE CASCADE
);
CREATE INDEX idx_symbols_name ON symbols (project_id, name, scope);
CREATE INDEX idx_symbols_file ON symbols (file_id);

-- Words of names over symbols, under the same rule as code_content_fts.
CREATE VIRTUAL TABLE symbols_fts USING fts5(
  words,
  content = 'symbols',
  content_rowid = 'id',
  prefix = '2 3'
);

-- Syntax trees as JSON, kept by other services.
CREATE TABLE ast_trees (
  id INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL,
  file_id INTEGER NOT NULL,
  project_id TEXT NOT NULL,
  ast_json TEXT NOT NULL,
  ast_hash TEXT NOT NULL,
  file_mtime REAL NOT NULL,
  created_at REAL DEFAULT (julianday('now')),
  updated_at REAL DEFAULT (julianday('now')),
  FOREIGN KEY (file_id) REFERENCES files (id) ON DELETE CASCADE,
  FOREIGN KEY (project_id) REFERENCES projects (id) ON DELETE CASCADE,
  UNIQUE (file_id, ast_hash)
);
CREATE INDEX idx_ast_trees_file ON ast_trees (file_id);
CREATE INDEX idx_ast_trees_project ON ast_trees (project_id);
CREATE INDEX idx_ast_trees_hash ON ast_trees (ast_hash);

-- Concrete syntax trees, kept by other services.
CREATE TABLE cst_trees (
  id INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL,
  file_id INTEGER NOT NULL,
  project_id TEXT NOT NULL,
  cst_code TEXT NOT NULL,
  cst_hash TEXT NOT NULL,
  file_mtime REAL NOT NULL,
  created_at REAL DEFAULT (julianday('now')),
  updated_at REAL DEFAULT (julianday('now')),
  FOREIGN KEY (file_id) REFERENCES files (id) ON DELETE CASCADE,
  FOREIGN KEY (project_id) REFERENCES projects (id) ON DELETE CASCADE,
  UNIQUE (file_id, cst_hash)
);

-- Which entity has which vector, kept by other services.
CREATE TABLE vector_index (
  id INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL,
  project_id TEXT NOT NULL,
  entity_type TEXT NOT NULL,
  entity_id INTEGER NOT NULL,
  vector_id INTEGER NOT NULL,
  vector_dim INTEGER NOT NULL,
  embedding_model TEXT,
  created_at REAL DEFAULT (julianday('now')),
  FOREIGN KEY (project_id) REFERENCES projects (id) ON DELETE CASCADE,
  UNIQUE (project_id, entity_type, entity_id)
);
CREATE INDEX idx_vector_index_project ON vector_index (project_id);
CREATE INDEX idx_vector_index_entity ON vector_index (entity_type, entity_id);
CREATE INDEX idx_vector_index_vector_id ON vector_index (vector_id);

-- Chunks of code with their embeddings, kept by other services.
CREATE TABLE code_chunks (
  id INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL,
  file_id INTEGER NOT NULL,
  project_id TEXT NOT NULL,
  chunk_uuid TEXT NOT NULL,
  chunk_type TEXT NOT NULL,
  chunk_text TEXT NOT NULL,
  chunk_ordinal INTEGER,
  vector_id INTEGER,
  embedding_model TEXT,
  bm25_score REAL,
  embedding_vector TEXT,
  token_count INTEGER,
  class_id INTEGER,
  function_id INTEGER,
  method_id INTEGER,
  line INTEGER,
  ast_node_type TEXT,
  source_type TEXT,
  binding_level INTEGER DEFAULT 0,
  created_at REAL DEFAULT (julianday('now')),
  updated_at REAL DEFAULT (julianday('now')),
  FOREIGN KEY (file_id) REFERENCES files (id) ON DELETE CASCADE,
  FOREIGN KEY (project_id) REFERENCES projects (id) ON DELETE CASCADE,
  FOREIGN KEY (class_id) REFERENCES classes (id) ON DELETE CASCADE,
  FOREIGN KEY (function_id) REFERENCES functions (id) ON DELETE CASCADE,
  FOREIGN KEY (method_id) REFERENCES methods (id) ON DELETE CASCADE,
  UNIQUE (chunk_uuid)
);
CREATE INDEX idx_code_chunks_file ON code_chunks (file_id);
CREATE INDEX idx_code_chunks_project ON code_chunks (project_id);
CREATE INDEX idx_code_chunks_uuid ON code_chunks (chunk_uuid);
CREATE INDEX idx_code_chunks_vector ON code_chunks (vector_id);
CREATE INDEX idx_code_chunks_not_vectorized ON code_chunks (project_id, id) WHERE vector_id IS NULL;
CREATE INDEX idx_code_chunks_created_at ON code_chunks (created_at);
CREATE INDEX idx_code_chunks_project_embedding_model ON code_chunks (project_id) WHERE embedding_model IS NOT NULL;
-- As on issues.
CREATE INDEX idx_code_chunks_class ON code_chunks (class_id) WHERE class_id IS NOT NULL;
CREATE INDEX idx_code_chunks_function ON code_chunks (function_id) WHERE function_id IS NOT NULL;
CREATE INDEX idx_code_chunks_method ON code_chunks (method_id) WHERE method_id IS NOT NULL;

-- Groups of duplicated code, kept by other services.
CREATE TABLE code_duplicates (
  id INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL,
  project_id TEXT NOT NULL,
  duplicate_hash TEXT NOT NULL,
  similarity REAL NOT NULL,
  created_at REAL DEFAULT (julianday('now')),
  FOREIGN KEY (project_id) REFERENCES projects (id) ON DELETE CASCADE,
  UNIQUE (project_id, duplicate_hash)
);
CREATE INDEX idx_code_duplicates_project ON code_duplicates (project_id);
CREATE INDEX idx_code_duplicates_hash ON code_duplicates (duplicate_hash);

-- Where the members of such a group stand.
CREATE TABLE duplicate_occurrences (
  id INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL,
  duplicate_id INTEGER NOT NULL,
  file_id INTEGER NOT NULL,
  start_line INTEGER NOT NULL,
  end_line INTEGER NOT NULL,
  code_snippet TEXT,
  ast_node_id INTEGER,
  created_at REAL DEFAULT (julianday('now')),
  FOREIGN KEY (duplicate_id) REFERENCES code_duplicates (id) ON DELETE CASCADE,
  FOREIGN KEY (file_id) REFERENCES files (id) ON DELETE CASCADE
);
CREATE INDEX idx_duplicate_occurrences_duplicate ON duplicate_occurrences (duplicate_id);
CREATE INDEX idx_duplicate_occurrences_file ON duplicate_occurrences (file_id);

-- Results of whole-file analyses, kept by other services.
CREATE TABLE comprehensive_analysis_results (
  id INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL,
  file_id INTEGER NOT NULL,
  project_id TEXT NOT NULL,
  file_mtime REAL NOT NULL,
  results_json TEXT NOT NULL,
  summary_json TEXT NOT NULL,
  created_at REAL DEFAULT (julianday('now')),
  updated_at REAL DEFAULT (julianday('now')),
  FOREIGN KEY (file_id) REFERENCES files (id) ON DELETE CASCADE,
  FOREIGN KEY (project_id) REFERENCES projects (id) ON DELETE CASCADE,
  UNIQUE (file_id, file_mtime)
);

-- One row per cycle of the file watcher.
CREATE TABLE file_watcher_stats (
  cycle_id TEXT PRIMARY KEY NOT NULL,
  cycle_start_time REAL NOT NULL,
  cycle_end_time REAL,
  files_total_at_start INTEGER NOT NULL DEFAULT 0,
  files_added INTEGER NOT NULL DEFAULT 0,
  files_processed INTEGER NOT NULL DEFAULT 0,
  files_skipped INTEGER NOT NULL DEFAULT 0,
  files_failed INTEGER NOT NULL DEFAULT 0,
  files_changed INTEGER NOT NULL DEFAULT 0,
  files_deleted INTEGER NOT NULL DEFAULT 0,
  total_processing_time_seconds REAL NOT NULL DEFAULT 0.0,
  average_processing_time_seconds REAL,
  last_updated REAL DEFAULT (julianday('now')),
  current_project_id TEXT
);
CREATE INDEX idx_file_watcher_stats_start_time ON file_watcher_stats (cycle_start_time);

-- One row per cycle of the vectorizer.
CREATE TABLE vectorization_stats (
  cycle_id TEXT PRIMARY KEY NOT NULL,
  cycle_start_time REAL NOT NULL,
  cycle_end_time REAL,
  chunks_total_at_start INTEGER NOT NULL DEFAULT 0,
  chunks_processed INTEGER NOT NULL DEFAULT 0,
  chunks_skipped INTEGER NOT NULL DEFAULT 0,
  chunks_failed INTEGER NOT NULL DEFAULT 0,
  files_total_at_start INTEGER NOT NULL DEFAULT 0,
  files_vectorized INTEGER NOT NULL DEFAULT 0,
  total_processing_time_seconds REAL NOT NULL DEFAULT 0.0,
  average_processing_time_seconds REAL,
  last_updated REAL DEFAULT (julianday('now'))
);
CREATE INDEX idx_vectorization_stats_start_time ON vectorization_stats (cycle_start_time);

-- One row per cycle of the indexing worker.
CREATE TABLE indexing_worker_stats (
  cycle_id TEXT PRIMARY KEY NOT NULL,
  cycle_start_time REAL NOT NULL,
  cycle_end_time REAL,
  files_total_at_start INTEGER NOT NULL DEFAULT 0,
  files_indexed INTEGER NOT NULL DEFAULT 0,
  files_failed INTEGER NOT NULL DEFAULT 0,
  total_processing_time_seconds REAL NOT NULL DEFAULT 0.0,
  average_processing_time_seconds REAL,
  last_updated REAL DEFAULT (julianday('now'))
);
CREATE INDEX idx_indexing_worker_stats_start_time ON indexing_worker_stats (cycle_start_time);

-- The last failure of each file; a success deletes the row.
CREATE TABLE indexing_errors (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  project_id TEXT NOT NULL,
  file_path TEXT NOT NULL,
  error_type TEXT,
  error_message TEXT,
  created_at REAL DEFAULT (julianday('now')),
  UNIQUE (project_id, file_path)
);
CREATE INDEX idx_indexing_errors_project_path ON indexing_errors (project_id, file_path);
