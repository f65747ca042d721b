import './publicPath';

import { AppPlugin } from '@grafana/data';

import { LazyLanding } from './pages/lazy';

export const plugin = new AppPlugin().setRootPage(LazyLanding);
