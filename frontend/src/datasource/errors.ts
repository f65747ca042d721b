/** What a failed request says, in one line. */

interface Answer {
  error?: unknown;
  message?: unknown;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
}

function text(value: unknown): string | undefined {
  return typeof value === 'string' && value.trim() !== '' ? value.trim() : undefined;
}

/**
 * The message of whatever a request threw: the backend's own (`{error}` as the Prometheus API has it, `{message}` as
 * Grafana has it), else the HTTP status, else that of the exception.
 */
export function errorText(thrown: unknown): string {
  if (isObject(thrown) && isObject(thrown.data)) {
    const answer: Answer = thrown.data;
    const said = text(answer.error) ?? text(answer.message);
    if (said !== undefined) {
      return said;
    }
  }
  if (isObject(thrown)) {
    const said = text(thrown.message) ?? text(thrown.statusText);
    if (said !== undefined) {
      return said;
    }
    if (typeof thrown.status === 'number') {
      return `the request failed with HTTP status ${thrown.status}`;
    }
  }
  return text(thrown) ?? 'the request failed and gave no reason';
}
