import { join } from "node:path";
import { ComparisonOperator, ConflictAction, type RequestOf } from "code-analysis-driver";
import { toValue } from "./canonical.js";
import { describeChange, describeResult, describeStream } from "./describe.js";
import type { Call, Context, Statement, Step, Where } from "./scenario.js";

/** What each call of a scenario does. */
export const CALLS: Readonly<Record<string, Call>> = {
  Execute: async (step, context, options) => {
    const { driver } = context;
    const request = { ...statement(step), ...write(step, context), maxRows: step.max_rows ?? 0 };
    return describeResult(await driver.execute(request, options));
  },
  ExecuteBatch: async (step, context, options) => {
    const request = { statements: step.statements.map(statement), ...write(step, context) };
    const { results } = await context.driver.executeBatch(request, options);
    return results.flatMap((result, index) => [`result ${index}`, ...describeResult(result)]);
  },
  Query: async (step, context, options) => {
    const controller = new AbortController();
    const request = { ...statement(step), transactionId: transactionOf(step, context) };
    const stream = context.driver.query(request, { ...options, signal: controller.signal });
    return await describeStream(stream, controller, step.cancel_after);
  },
  BeginTransaction: async ({ ttl_ms = 0, ...step }, { driver, transactions }, options) => {
    const ttl = { seconds: BigInt(Math.floor(ttl_ms / 1000)), nanos: (ttl_ms % 1000) * 1_000_000 };
    const { transactionId } = await driver.beginTransaction(ttl_ms === 0 ? {} : { ttl }, options);
    transactions.set(step.as, transactionId);
    return ["begun"];
  },
  CommitTransaction: async (step, context, options) => {
    await context.driver.commitTransaction(write(step, context), options);
    return ["committed"];
  },
  RollbackTransaction: async (step, context, options) => {
    await context.driver.rollbackTransaction({ transactionId: transactionOf(step, context) }, options);
    return ["rolled back"];
  },
  Insert: async ({ table, columns = [], rows, on_conflict = "UNSPECIFIED" }, { driver }, options) => {
    const values = rows.map((row) => ({ values: row.map(toValue) }));
    const onConflict = ConflictAction[on_conflict];
    return describeChange(await driver.insert({ table, columns: [...columns], rows: values, onConflict }, options));
  },
  Update: async ({ table, set, where }, { driver }, options) => {
    const values = Object.fromEntries(Object.entries(set).map(([column, value]) => [column, toValue(value)]));
    return describeChange(await driver.update({ table, set: values, ...condition(where) }, options));
  },
  Delete: async ({ table, where }, { driver }, options) =>
    describeChange(await driver.delete({ table, ...condition(where) }, options)),
  Select: async ({ table, columns = [], where, order_by, limit }, { driver }, options) => {
    const stream = driver.select(
      {
        table,
        columns: [...columns],
        ...condition(where),
        orderBy: order_by === undefined ? [] : [{ column: order_by }],
        ...(limit !== undefined && { limit: BigInt(limit) }),
      },
      options,
    );
    return await describeStream(stream);
  },
  RegisterProject: async ({ id, root }, { driver, source }, options) => {
    const request = { rootPath: join(source, root), ...(id !== undefined && { id }) };
    const { project, created } = await driver.registerProject(request, options);
    return [`project ${project?.id} created=${created}`];
  },
  IndexFile: async ({ project, path, force = false }, { driver }, options) => {
    const file = await driver.indexFile({ projectId: project, filePath: path, force }, options);
    const { classes, methods, functions, imports } = file.counts ?? {};
    return [
      `file ${file.filePath} language=${file.language} lines=${file.lines} unchanged=${file.unchanged}` +
        ` classes=${classes} methods=${methods} functions=${functions} imports=${imports}`,
    ];
  },
  IndexProject: async ({ project }, { driver }, options) => {
    let line = "";
    for await (const { progress } of driver.indexProject({ projectId: project }, options)) {
      const { filesTotal, filesIndexed, filesUnchanged, filesFailed, filesDeleted } = progress ?? {};
      line =
        `files total=${filesTotal} indexed=${filesIndexed} unchanged=${filesUnchanged}` +
        ` failed=${filesFailed} deleted=${filesDeleted}`;
    }
    return [line];
  },
  ListIndexingErrors: async ({ project }, { driver }, options) => {
    const { errors } = await driver.listIndexingErrors({ projectId: project }, options);
    return errors.map(({ filePath, errorType }) => `failure ${filePath.split("/").at(-1)} ${errorType}`);
  },
  SearchCode: async ({ project, query }, { driver }, options) => {
    const { hits } = await driver.searchCode({ projectId: project, query }, options);
    return hits.map(
      ({ entityName, entity, filePath, line }) => `hit ${entityName} kind=${entity?.kind} ${filePath}:${line}`,
    );
  },
};

function statement({ sql, parameters = [], named = {} }: Statement) {
  const namedParameters = Object.fromEntries(Object.entries(named).map(([name, value]) => [name, toValue(value)]));
  return { sql, parameters: parameters.map(toValue), namedParameters };
}

function write(step: Step, context: Context) {
  return { transactionId: transactionOf(step, context), requestId: step.request_id ?? "" };
}

/** The id of the transaction that the step names; a name that none has stands for itself. */
function transactionOf({ in: name = "" }: Step, { transactions }: Context): string {
  return transactions.get(name) ?? name;
}

function condition(where: Where | undefined): Pick<RequestOf<"delete">, "where"> {
  if (where === undefined) return {};
  const value = { column: where.column, operator: ComparisonOperator[where.operator], value: toValue(where.value) };
  return { where: { kind: { case: "comparison", value } } };
}
