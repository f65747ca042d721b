/** Every dashboard that ships, by uid. */
import { ds01Overview } from './ds01-overview';
import { ds01User } from './ds01-user';
import { toJson } from './house';
import { nvidiaDcgm } from './nvidia-dcgm';
import { podscopeNode } from './podscope-node';
import { annotations, podscopeWarRoom } from './podscope-war-room';

export function dashboards(): Map<string, string> {
  return new Map([
    ['podscope-node', toJson(podscopeNode())],
    ['podscope-war-room', toJson(podscopeWarRoom(), annotations())],
    ['nvidia-dcgm', toJson(nvidiaDcgm())],
    ['ds01-overview', toJson(ds01Overview())],
    ['ds01-user', toJson(ds01User())],
  ]);
}
