/** Every dashboard that ships, by uid. */
import { toJson } from './house';
import { nvidiaDcgm } from './nvidia-dcgm';
import { podscopeNode } from './podscope-node';

export function dashboards(): Map<string, string> {
  return new Map([
    ['podscope-node', toJson(podscopeNode())],
    ['nvidia-dcgm', toJson(nvidiaDcgm())],
  ]);
}
