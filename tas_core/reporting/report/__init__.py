"""The report page of one spatialized sound: listen, compare, and see what was asked and what came out."""

from tas_core.reporting.report.page import check_report_path, report_file, write_report

__all__ = ["check_report_path", "report_file", "write_report"]
