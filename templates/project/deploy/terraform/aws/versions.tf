terraform {
  # 1.10 brought the lock of the state in its own bucket. OpenTofu has it from 1.10, too.
  required_version = ">= 1.10"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = "~> 6.0"
    }
  }

  # `sabir deploy` fills it in: bucket, key, region; encrypted, and locked by a file beside it.
  backend "s3" {}
}

provider "aws" {
  region = var.region

  default_tags {
    tags = {
      app         = var.app
      environment = var.environment
      made_by     = "sabir deploy"
    }
  }
}
