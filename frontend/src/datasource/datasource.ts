import { DataSourceWithBackend } from '@grafana/runtime';

import { type FleetOptions, type FleetQuery } from './types';

export class FleetDataSource extends DataSourceWithBackend<FleetQuery, FleetOptions> {}
