/** The messages and enums of the protocol, generated from `proto/`. */
export * from "../../gen/code_analysis/driver/v1/backup_pb.js";
export * from "../../gen/code_analysis/driver/v1/driver_info_pb.js";
export * from "../../gen/code_analysis/driver/v1/index_pb.js";
export * from "../../gen/code_analysis/driver/v1/project_pb.js";
export * from "../../gen/code_analysis/driver/v1/recovery_pb.js";
export * from "../../gen/code_analysis/driver/v1/schema_pb.js";
export * from "../../gen/code_analysis/driver/v1/search_pb.js";
export * from "../../gen/code_analysis/driver/v1/sql_pb.js";
export * from "../../gen/code_analysis/driver/v1/table_pb.js";
export * from "../../gen/code_analysis/driver/v1/transaction_pb.js";
export * from "../../gen/code_analysis/driver/v1/value_pb.js";
